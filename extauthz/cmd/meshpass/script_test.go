package main

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the program itself. Beside the commands of testscript they have
//
//	exits CODE PROGRAM ARGUMENTS...   runs a program, which must exit with the code
//	json                              wants one JSON value, and no more, on the last standard output
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			kept, err := filepath.Abs("../../../testdata/compat") // files that earlier versions have written
			env.Setenv("COMPAT", kept)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": runWithCode, "json": wantJSON},
	})
}

func runWithCode(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENTS...")
	}
	code := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func wantJSON(ts *testscript.TestScript, neg bool, args []string) {
	if valid := json.Valid([]byte(ts.ReadFile("stdout"))); neg || len(args) > 0 || !valid {
		ts.Fatalf("standard output is not one JSON value")
	}
}
