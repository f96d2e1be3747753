package expr

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a decision must not depend on the time zones of the machine

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"

	"github.com/meshpass/meshpass/shared/policy/host"
	"github.com/meshpass/meshpass/shared/policy/method"
)

// checkComparison rejects a host or a method that no request can have: a deny rule that compares
// with it would never deny.
func checkComparison(e ast.Expr) error {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
		return nil
	}
	args := e.AsCall().Args()
	switch e.AsCall().FunctionName() {
	case operators.Equals, operators.NotEquals:
		return firstError(checkComparedText(args[0], args[1]), checkComparedText(args[1], args[0]))
	case operators.In:
		if args[1].Kind() != ast.ListKind {
			return nil
		}
		for _, element := range args[1].AsList().Elements() {
			if err := checkComparedText(args[0], element); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkComparedText checks a text that is compared with a variable.
func checkComparedText(variable, literal ast.Expr) error {
	text, isText := textLiteral(literal)
	if variable.Kind() != ast.IdentKind || !isText {
		return nil
	}
	switch variable.AsIdent() {
	case "request.host":
		if strings.HasPrefix(text, host.Wildcard) {
			return fmt.Errorf("request.host is compared with %q: write to.hosts, or request.host.endsWith(%q)", text, text[1:])
		}
		if text == "" { // a request without a host
			return nil
		}
		if err := host.CheckPattern(text); err != nil {
			return fmt.Errorf("request.host is compared with %q: %w", text, err)
		}
	case "request.method":
		if err := method.Check(text); err != nil {
			return fmt.Errorf("request.method is compared with %q: %w", text, err)
		}
	}
	return nil
}

// zonedFunctions are CEL's functions of a timestamp that take a time zone.
var zonedFunctions = []string{
	overloads.TimeGetFullYear, overloads.TimeGetMonth, overloads.TimeGetDayOfYear, overloads.TimeGetDate, overloads.TimeGetDayOfMonth,
	overloads.TimeGetDayOfWeek, overloads.TimeGetHours, overloads.TimeGetMinutes, overloads.TimeGetSeconds, overloads.TimeGetMilliseconds,
}

var (
	// offsetForm is the other form of a time zone that CEL reads.
	offsetForm = regexp.MustCompile(`^[+-]?(0[0-9]|1[0-4]):[0-5][0-9]$`)
	// machineZone are names that mean something else on each machine, or exist on some only.
	machineZone = regexp.MustCompile(`^(Local|localtime|posixrules|posix/.*|right/.*)$`)
)

// checkTimeZone rejects a time zone that does not exist: a rule that needs it could never be decided.
func checkTimeZone(e ast.Expr) error {
	if e.Kind() != ast.CallKind || !e.AsCall().IsMemberFunction() || len(e.AsCall().Args()) != 1 || !slices.Contains(zonedFunctions, e.AsCall().FunctionName()) {
		return nil
	}
	zone, isText := textLiteral(e.AsCall().Args()[0])
	if !isText {
		return nil
	}
	_, err := time.LoadLocation(zone)
	if !offsetForm.MatchString(zone) && (err != nil || machineZone.MatchString(zone)) {
		return fmt.Errorf(`%s(%q): no such time zone; write a name of the IANA database such as "Europe/Berlin", "UTC", or an offset such as "-08:00"`, e.AsCall().FunctionName(), zone)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
