package routes_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/routes"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// largeInput has definitions, of which a third has a parameter, with their Services, workloads and documents.
func largeInput(definitions int) []string {
	texts := []string{conf}
	for i := range definitions {
		name := fmt.Sprintf("api-%04d", i)
		listenPath := "/load/" + name + "/"
		if i%3 == 0 {
			listenPath = "/load/{tenant}/" + name + "/"
		}
		api := strings.NewReplacer("orders.shop", name+".shop", `"orders"`, `"`+name+`"`, "/orders/", listenPath).Replace(ordersAPI)
		texts = append(texts, api, workload(name), document(name, "/v1/**"))
	}
	return texts
}

// The comparisons grow with the number of definitions, and not with its square.
func TestCheckOfLargeInput(t *testing.T) {
	compare := func(definitions int) int {
		texts := largeInput(definitions)
		rendered := routes.Render(readModel(t, texts...), routes.Options{Kind: routes.VirtualService, GatewayNamespace: "edge", GatewayName: "public", Namespace: "edge"}, ignoreProgress)
		if !rendered.IsComplete() || len(rendered.APIs) != definitions {
			t.Fatalf("%+v", rendered.APIs)
		}
		var text strings.Builder
		if err := rendered.Print(&text); err != nil {
			t.Fatal(err)
		}
		steps := map[string]int{}
		report := routes.Check(readModel(t, append(texts, text.String())...), func(format string, args ...any) {
			if done, all := args[0].(int), args[1].(int); done != steps[format] || done >= all {
				t.Errorf(format+" after %d", done, all, steps[format])
			}
			steps[format]++
		})
		if !report.Passes() || len(report.Unchecked) > 0 || len(report.Coverage) != definitions || len(steps) != 2 {
			t.Errorf("%+v %+v, progress %v", report.Holes, report.Unchecked, steps)
		}
		return report.Compared()
	}
	few, many := compare(20), compare(160)
	if few == 0 || many > 9*few {
		t.Errorf("%d comparisons for 20 definitions, and %d for 160", few, many)
	}
}

// randomRules makes rules whose paths often meet.
func randomRules(random *rand.Rand) (rules []tykroute.Rule) {
	for range 2 + random.IntN(12) {
		text := ""
		for range 1 + random.IntN(3) {
			text += []string{"/", "/a", "/b", "a", "/a/"}[random.IntN(5)]
		}
		rule := tykroute.Rule{Path: tykroute.PathMatch{Becomes: []string{"", "/x"}[random.IntN(2)]}, Rewrites: random.IntN(2) == 0}
		switch random.IntN(5) {
		case 0:
			rule.Path.Pattern = text + "[^/]+/b"
		case 1, 2:
			rule.Path.Prefix = text
		default:
			rule.Path.Exact = text
		}
		if random.IntN(4) > 0 {
			rule.Destinations = []tykroute.Destination{{}}
		}
		rules = append(rules, rule)
	}
	return rules
}

// isRepeated asks each rule after one, in order.
func isRepeated(rule tykroute.Rule, after []tykroute.Rule) bool {
	at := slices.IndexFunc(after, func(next tykroute.Rule) bool {
		return next.Path.Pattern != "" || next.Path.Exact == rule.Path.Exact || next.Path.Prefix != "" && strings.HasPrefix(rule.Path.Exact, next.Path.Prefix)
	})
	if rule.Path.Exact == "" || at < 0 || after[at].Path.Prefix != rule.Path.Exact {
		return false
	}
	next := after[at]
	return len(next.Destinations) == len(rule.Destinations) && (len(rule.Destinations) == 0 || next.Rewrites == rule.Rewrites && next.Path.Becomes == rule.Path.Becomes)
}

// The indexes give what a comparison of each rule with each other one gives.
func TestRuleIndexes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	repeats, overlaps := 0, 0
	for range 2000 {
		rules := randomRules(random)
		repeated := routes.FindRepeated(rules)
		for i, rule := range rules {
			if want := isRepeated(rule, rules[i+1:]); repeated[i] != want {
				t.Fatalf("%+v\nrule %d: repeated %t, want %t", rules, i, repeated[i], want)
			} else if want {
				repeats++
			}
			found := routes.FindOverlaps(rules, rule.Path)
			for j, other := range rules {
				overlap := rule.Path.MayOverlap(other.Path)
				if overlap && !slices.Contains(found, j) {
					t.Fatalf("%+v\nrules %d and %d overlap, found %v", rules, i, j, found)
				} else if overlap && i != j {
					overlaps++
				}
			}
		}
	}
	if repeats < 20 || overlaps < 1000 {
		t.Errorf("only %d repeats and %d overlaps", repeats, overlaps)
	}
}
