// Package pagetest does what a page of the documentation shows: it writes the page's files, runs its commands, and compares
// their output with the page.
//
// A page shows a file as a fenced block whose first line is a comment with the file's name, such as "# policies/orders.yaml".
// It shows commands in fenced blocks of the language console: "$ " begins a command, a line that ends with "\" continues
// on the next one, and all lines up to the next command are its output. In the output, "…" is any text, and a line that holds only "…" is any
// number of lines. Fenced blocks of the language sh hold commands whose output the page does not show.
package pagetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Step is a file to write, or a command to run.
type Step struct {
	Line    int    // of the page
	Section string // the last heading before it
	File    string // a name with slashes; "" for a command
	Text    string // of the file
	Command string
	Output  string // as the page shows it
	Shown   bool   // the page shows the output
}

var (
	fileName = regexp.MustCompile(`^# ([A-Za-z0-9_./-]+\.[a-z]+)$`)
	heading  = regexp.MustCompile(`^#+ (.*)$`)
)

// ReadSteps returns the steps of a page, in order.
func ReadSteps(page string) ([]Step, error) {
	data, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	return parsePage(string(data)), nil
}

func parsePage(page string) (steps []Step) {
	lines := strings.Split(page, "\n")
	section := ""
	for i := 0; i < len(lines); i++ {
		if found := heading.FindStringSubmatch(lines[i]); found != nil {
			section = found[1]
		}
		language, found := strings.CutPrefix(lines[i], "```")
		if !found {
			continue
		}
		begin := i + 1
		for i = begin; i < len(lines) && lines[i] != "```"; i++ {
		}
		for _, step := range parseBlock(language, lines[begin:i]) {
			step.Line += begin + 1
			step.Section = section
			steps = append(steps, step)
		}
	}
	return steps
}

// parseBlock returns the steps of a block. Their lines count from its first one, 0.
func parseBlock(language string, block []string) []Step {
	switch language {
	case "console":
		return parseConsole(block)
	case "sh":
		return parseScript(block)
	}
	if len(block) == 0 {
		return nil
	}
	if name := fileName.FindStringSubmatch(block[0]); name != nil {
		return []Step{{File: name[1], Text: strings.Join(block, "\n") + "\n"}}
	}
	return nil
}

func parseConsole(block []string) (steps []Step) {
	for i := 0; i < len(block); i++ {
		command, found := strings.CutPrefix(block[i], "$ ")
		if found {
			step := Step{Line: i, Command: command, Shown: true}
			for ; isContinued(block[i]) && i+1 < len(block); i++ {
				step.Command += "\n" + block[i+1]
			}
			steps = append(steps, step)
		} else if len(steps) > 0 {
			steps[len(steps)-1].Output += block[i] + "\n"
		}
	}
	return steps
}

func isContinued(line string) bool {
	return strings.HasSuffix(line, `\`) || strings.HasSuffix(line, "|")
}

// parseScript returns the commands of a block: a command ends with its line, unless the line or a here-document continues.
func parseScript(block []string) (steps []Step) {
	hereDocument := regexp.MustCompile(`<<'?(\w+)'?`)
	for i := 0; i < len(block); i++ {
		if strings.TrimSpace(block[i]) == "" || strings.HasPrefix(block[i], "#") {
			continue
		}
		step := Step{Line: i, Command: block[i]}
		for ; isContinued(block[i]) && i+1 < len(block); i++ {
			step.Command += "\n" + block[i+1]
		}
		if end := hereDocument.FindStringSubmatch(block[i]); end != nil {
			for ; block[i] != end[1] && i+1 < len(block); i++ {
				step.Command += "\n" + block[i+1]
			}
		}
		steps = append(steps, step)
	}
	return steps
}

// Reader takes the steps in a folder.
type Reader struct {
	Dir string
	Env []string // added to the environment of commands
	// Patience is how long a command with another output than the page shows is run again: changes take time.
	Patience time.Duration

	lasting string // commands of earlier steps that change the shell: `. FILE`, cd, export
}

var lasting = regexp.MustCompile(`^(\.|cd|export) `)

// TakeSteps takes the steps up to the first one that ends otherwise than the page shows. The error names the line of the page.
func (r *Reader) TakeSteps(ctx context.Context, steps []Step) error {
	for _, step := range steps {
		err := r.TakeStep(ctx, step)
		for deadline := time.Now().Add(r.Patience); err != nil && step.Output != "" && time.Now().Before(deadline) && ctx.Err() == nil; {
			err = r.TakeStep(ctx, step)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", step.Line, err)
		}
	}
	return nil
}

// TakeStep writes the file of a step or runs its command. The error shows the command, its output, and the output of the page.
func (r *Reader) TakeStep(ctx context.Context, step Step) error {
	if step.File != "" {
		file := filepath.Join(r.Dir, filepath.FromSlash(step.File))
		return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(step.Text), 0o644))
	}
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", r.lasting+step.Command)
	cmd.Dir, cmd.Env = r.Dir, append(os.Environ(), r.Env...)
	if lasting.MatchString(step.Command) {
		r.lasting += step.Command + "\n"
	}
	output, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		return err
	case !step.Shown && err != nil, step.Output == "" && err != nil, exit != nil && exit.ExitCode() > 2:
		return fmt.Errorf("$ %s\n%s%w", step.Command, output, err)
	case step.Shown && !MatchesOutput(step.Output, string(output)):
		return fmt.Errorf("$ %s\n%s\nthe page shows:\n%s", step.Command, output, step.Output)
	}
	return nil
}

// MatchesOutput reports whether an output is the one that a page shows. A page does not show whether the last line ends with a line break.
func MatchesOutput(shown, output string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta("\n"+shown), "\n…\n", `\n(.*\n)*`)
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	return regexp.MustCompile(`^` + pattern + `$`).MatchString("\n" + output + missingBreak(output))
}

func missingBreak(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return ""
	}
	return "\n"
}
