package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

// rememberedTokens is how many tokens are in the cache where its memory is measured.
const rememberedTokens = 100_000

// memoryRig is an authorizer that remembers many tokens.
type memoryRig struct {
	authorizer *authorizer
	dir        string
	restore    func() error
	idle, full process.Memory // before the tokens, and with them
}

// newMemoryGroup measures the resident memory before and after many tokens of 600 bytes. The first figure has the pages of the program
// itself and what the garbage collector leaves free, so the tokens alone are the difference. Anonymous memory is without the pages of
// the executable, which the kernel can drop.
func newMemoryGroup() Group {
	rig := &memoryRig{}
	return Group{Name: "memory", Start: rig.start, Rows: []Row{
		{Name: "idle", Unit: "MB resident", Measure: rig.measureIdle(resident), Once: true},
		{Name: "idle-anonymous", Unit: "MB anonymous", Measure: rig.measureIdle(anonymous), Once: true},
		{Name: "100000-tokens", Unit: "MB resident", Measure: rig.measureTokens(resident), Once: true},
		{Name: "100000-tokens-anonymous", Unit: "MB anonymous", Measure: rig.measureTokens(anonymous), Once: true, Target: Target{AtMost: 64}},
		{Name: "100000-tokens-alone", Unit: "MB", Measure: rig.measureTokensAlone, Once: true, Target: Target{AtMost: 64}},
	}}
}

func resident(m process.Memory) float64  { return float64(m.Resident) / 1e6 }
func anonymous(m process.Memory) float64 { return float64(m.Anonymous) / 1e6 }

func (m *memoryRig) start(ctx context.Context, r Round) (end func() error, err error) {
	cores, err := findCores()
	if err != nil {
		return nil, err
	}
	if m.dir, err = os.MkdirTemp("", "meshpass-bench-"); err != nil {
		return nil, err
	}
	if m.authorizer, err = startAuthorizer(ctx, r, m.dir, cores.server, nil); err != nil {
		return m.end, err
	}
	if m.restore, err = pinSelf(cores.load); err != nil {
		return m.end, err
	}
	if err := m.sendTokens(1000); err != nil {
		return m.end, err
	}
	m.idle, err = m.authorizer.process.Memory()
	return m.end, err
}

func (m *memoryRig) end() error {
	var errs []error
	if m.restore != nil {
		errs = append(errs, m.restore())
	}
	if m.authorizer != nil && m.authorizer.server != nil {
		errs = append(errs, m.authorizer.close())
	}
	return errors.Join(append(errs, os.RemoveAll(m.dir))...)
}

func (m *memoryRig) measureIdle(part func(process.Memory) float64) func(context.Context, Round) (float64, error) {
	return func(context.Context, Round) (float64, error) { return part(m.idle), nil }
}

func (m *memoryRig) measureTokens(part func(process.Memory) float64) func(context.Context, Round) (float64, error) {
	return func(ctx context.Context, r Round) (float64, error) {
		err := m.fillCache(ctx, r)
		return part(m.full), err
	}
}

func (m *memoryRig) measureTokensAlone(ctx context.Context, r Round) (float64, error) {
	err := m.fillCache(ctx, r)
	return resident(m.full) - resident(m.idle), err
}

// fillCache sends the tokens once.
func (m *memoryRig) fillCache(ctx context.Context, r Round) (err error) {
	if m.full.Resident > 0 {
		return nil
	}
	const part = 5000
	for sent := 0; sent < rememberedTokens; sent += part {
		if err := errors.Join(ctx.Err(), m.sendTokens(part)); err != nil {
			return err
		}
		if sent%(10*part) == 0 {
			r.Log("%d tokens", sent+part)
		}
	}
	m.full, err = m.authorizer.process.Memory()
	return err
}

// sendTokens sends Checks, each with a new token of about 600 bytes.
func (m *memoryRig) sendTokens(count int) error {
	messages := make([][]byte, count)
	for i := range messages {
		m.authorizer.count++
		raw, _, err := m.authorizer.minters[keyset.EdDSA].Mint(identity.Identity{
			Subject: identity.Subject{Namespace: "demo", ID: fmt.Sprintf("user-%06d", m.authorizer.count)}, Scopes: []string{"orders.read"},
			Requester: checks.Gateway, Claims: map[string]any{"tenant": "acme"},
		})
		if err != nil {
			return err
		}
		if messages[i], err = frameMessage(newCheck(raw)); err != nil {
			return err
		}
	}
	got, err := m.authorizer.load(time.Minute, inFlightCPU, takeTurns(messages))
	if err == nil && got.answers != count {
		err = fmt.Errorf("%d of %d Checks were answered", got.answers, count)
	}
	return err
}

// rulesRig is two authorizers that differ in the number of their rules.
type rulesRig struct {
	dir     string
	sets    []*authorizer // few, many
	restore func() error
}

// newRulesGroup compares many rules for one workload with few.
func newRulesGroup() Group {
	rig := &rulesRig{}
	return Group{Name: "rules", Start: rig.start, Rows: []Row{
		{Name: "10", Unit: cpuMicros, Measure: rig.measure(0)},
		{Name: "10000", Unit: cpuMicros, Measure: rig.measure(1), Base: []string{"10"}, Target: Target{AtMost: 1.05}},
	}}
}

const rulesOfDocument = 1000

// manyRules returns documents with rules for other paths than that of the Check, by file name.
func manyRules(count int) map[string]string {
	files := map[string]string{}
	for first := 0; first < count; first += rulesOfDocument {
		name := fmt.Sprintf("many-%d", first)
		text := "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: " + name + "}\nspec:\n  targets: {workloads: [ns/shop/sa/orders]}\n  rules:\n"
		for i := first; i < min(count, first+rulesOfDocument); i++ {
			text += fmt.Sprintf("    - {name: r%d, effect: allow, to: {methods: [GET], paths: [\"/x%d/{id}/**\"]}, when: claims.tctx.tenant == path.id}\n", i, i)
		}
		files[name+".yaml"] = text
	}
	return files
}

func (m *rulesRig) start(ctx context.Context, r Round) (end func() error, err error) {
	cores, err := findCores()
	if err != nil {
		return nil, err
	}
	if m.dir, err = os.MkdirTemp("", "meshpass-bench-"); err != nil {
		return nil, err
	}
	for i, count := range []int{10, 10_000} {
		dir := filepath.Join(m.dir, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return m.end, err
		}
		a, err := startAuthorizer(ctx, r, dir, cores.server, manyRules(count))
		if a != nil && a.server != nil {
			m.sets = append(m.sets, a)
		}
		if err != nil {
			return m.end, err
		}
	}
	m.restore, err = pinSelf(cores.load)
	return m.end, err
}

func (m *rulesRig) end() error {
	var errs []error
	if m.restore != nil {
		errs = append(errs, m.restore())
	}
	for _, a := range m.sets {
		errs = append(errs, a.close())
	}
	return errors.Join(append(errs, os.RemoveAll(m.dir))...)
}

func (m *rulesRig) measure(set int) func(context.Context, Round) (float64, error) {
	return func(_ context.Context, r Round) (float64, error) {
		a := m.sets[set]
		messages, err := a.newMessages(keyset.ES256, 1)
		if err != nil {
			return 0, err
		}
		if _, err := a.load(r.Length/8, inFlightCPU, alwaysSend(messages[0])); err != nil {
			return 0, err
		}
		return measureCPU(func() (answered, error) { return a.load(r.Length, inFlightCPU, alwaysSend(messages[0])) })
	}
}
