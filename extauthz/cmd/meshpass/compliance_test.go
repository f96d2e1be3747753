package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each command that docs/compliance.md names exists, with the flags that the page gives it, and each row but that of clocks
// names a command.
func TestTheCommandsOfCompliance(t *testing.T) {
	page := string(mustRead(t, "../../../docs/compliance.md"))
	named := regexp.MustCompile("`(meshpass [a-z ]+)`").FindAllStringSubmatch(page, -1)
	named = append(named, regexp.MustCompile(`(?m)^    (meshpass .*)$`).FindAllStringSubmatch(page, -1)...)
	if len(named) < 20 {
		t.Errorf("%d commands", len(named))
	}
	for _, command := range named {
		words := strings.Fields(command[1])[1:]
		found, _, err := newRoot().Find(words)
		if err != nil || found.HasSubCommands() && found.RunE == nil || !strings.HasPrefix(strings.Join(words, " ")+" ", strings.TrimPrefix(found.CommandPath(), "meshpass ")+" ") {
			t.Errorf("%s: no such command", command[1])
			continue
		}
		if path := strings.TrimPrefix(found.CommandPath(), "meshpass "); slices.Contains([]string{"audit", "policy", "istio", "keys", "revoke", "tyk", "routes", "config"}, path) {
			t.Errorf("%s is only a group of commands", command[1])
		}
		for _, word := range words {
			if flag, isFlag := strings.CutPrefix(word, "--"); isFlag && found.Flags().Lookup(flag) == nil {
				t.Errorf("%s: no flag %s", command[1], word)
			}
		}
	}
	for _, row := range regexp.MustCompile(`(?m)^\| (C|A\.).*$`).FindAllString(page, -1) {
		if !strings.Contains(row, "`meshpass ") && !strings.HasPrefix(row, "| A.8.17 ") {
			t.Errorf("no command: %s", row)
		}
	}
}
