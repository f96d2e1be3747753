// Package browser opens pages in a real headless Chromium, for tests.
package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// hangTimeout bounds a browser that hangs. No test waits for it otherwise.
const hangTimeout = time.Minute

// width is that of the window, in CSS pixels, until [Tab.Resize].
const width = 1200

// Scheme is the preferred colour scheme of the user.
type Scheme string

// The schemes.
const (
	Light Scheme = "light"
	Dark  Scheme = "dark"
)

// Tab is an open page.
type Tab struct {
	t   testing.TB
	ctx context.Context
}

// Open opens an HTML file in a browser that ends with the test. The test is NOT RUN on a machine
// without Chromium. A message of the page's console, such as a violation of its policy, fails the test.
func Open(t testing.TB, file string) *Tab {
	t.Helper()
	program := findChromium()
	if program == "" {
		t.Skip("NOT RUN: a report in a browser: needs chromium")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), hangTimeout)
	t.Cleanup(cancel)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.WindowSize(width, 900),
		chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, end := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(end)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	absolute, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "file", Path: absolute}
	tab := &Tab{t, ctx}
	err = chromedp.Listen(ctx, func(event any) {
		switch event := event.(type) {
		case *log.EventEntryAdded:
			t.Errorf("console of %s: %s", filepath.Base(file), event.Entry.Text)
		case *runtime.EventExceptionThrown:
			t.Errorf("script of %s: %s", filepath.Base(file), event.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	tab.doActions(chromedp.Navigate(address.String()), chromedp.EmulateViewport(width, 900))
	return tab
}

// findChromium is empty if no program is found.
func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	return ""
}

func (tab *Tab) doActions(actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	if err := chromedp.Do(tab.ctx, actions...); err != nil {
		tab.t.Fatal(err)
	}
}

// evaluateScript returns the value of a JavaScript expression.
func evaluateScript[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	value, err := chromedp.Run(tab.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		tab.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// Resize changes the size of the window, in CSS pixels.
func (tab *Tab) Resize(width, height int) {
	tab.t.Helper()
	tab.doActions(chromedp.EmulateViewport(int64(width), int64(height)))
}

// Click clicks the first element that a CSS selector matches.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.doActions(chromedp.Click(chromedp.CSS(selector)))
}

// Prefer changes the colour scheme of the page.
func (tab *Tab) Prefer(scheme Scheme) {
	tab.t.Helper()
	_, err := chromedp.Call(tab.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: string(scheme)}},
	})
	if err != nil {
		tab.t.Fatal(err)
	}
}

// The keys that move through a page.
const (
	TabKey = kb.Tab
	Enter  = kb.Enter
)

// Press sends keys to the element that has the focus.
func (tab *Tab) Press(keys string) {
	tab.t.Helper()
	tab.doActions(chromedp.KeyEvent(keys))
}

// Text evaluates a JavaScript expression whose value is a string.
func (tab *Tab) Text(expression string) string {
	tab.t.Helper()
	return evaluateScript[string](tab, expression)
}

// Number evaluates a JavaScript expression whose value is a number.
func (tab *Tab) Number(expression string) float64 {
	tab.t.Helper()
	return evaluateScript[float64](tab, expression)
}

// Contrast is the smallest contrast between text and background (WCAG 2, 1.4.3), from 1 to 21, of the
// elements that a CSS selector matches. Without such an element, it fails the test.
func (tab *Tab) Contrast(selector string) float64 {
	tab.t.Helper()
	ratio := evaluateScript[float64](tab, fmt.Sprintf("(%s)(%q)", contrast, selector))
	if ratio == 0 {
		tab.t.Fatalf("no element matches %s", selector)
	}
	return ratio
}

// KeepScreenshot writes a picture of the whole page to bin/screenshots, where it stays.
func (tab *Tab) KeepScreenshot(name string) (file string) {
	tab.t.Helper()
	picture, err := chromedp.Run(tab.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tab.t.Fatal(err)
	}
	root, err := findRepository()
	if err != nil {
		tab.t.Fatal(err)
	}
	file = filepath.Join(root, "bin", "screenshots", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		tab.t.Fatal(err)
	}
	if err := os.WriteFile(file, picture, 0o600); err != nil {
		tab.t.Fatal(err)
	}
	tab.t.Logf("screenshot: %s", file)
	return file
}

// findRepository returns the folder above the test's that has the Makefile.
func findRepository() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "Makefile")); err == nil {
			return folder, nil
		}
		above := filepath.Dir(folder)
		if above == folder {
			return "", errors.New("no folder above the test's has a Makefile")
		}
		folder = above
	}
}
