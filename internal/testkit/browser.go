package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// Browser starts a headless Chromium of its own and returns the context of an
// empty tab of 1400 × 900. It ends with the test; so that no step can wait for
// ever, give each a context with a deadline below this one. A page that throws an
// exception, or does what its Content-Security-Policy forbids, fails the test.
//
// Where there is no Chromium the test is skipped and says so; with
// KF_REQUIRE_CHROMIUM=1 it fails instead. CHROMIUM names the program where it is
// not found by its usual names.
func Browser(t testing.TB) context.Context {
	t.Helper()
	program := chromium()
	if program == "" {
		const why = "no Chromium found; install chromium, or name one in CHROMIUM"
		if os.Getenv("KF_REQUIRE_CHROMIUM") == "1" {
			t.Fatal(why + " (KF_REQUIRE_CHROMIUM=1)")
		}
		t.Skip("SKIP: " + why)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.NoSandbox, // CI runs as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.UserDataDir(t.TempDir()),
	)
	allocator, end := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(end)
	var complaints complaints
	t.Cleanup(func() { complaints.report(t) }) // after the tab is closed: it listens until then
	ctx, closeTab := chromedp.NewContext(allocator, chromedp.WithListener(complaints.listen))
	t.Cleanup(closeTab)
	// A deadline on the context of the first call would be the browser's own.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1400, 900)); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return ctx
}

// Screenshot writes what the tab shows now to path, as PNG.
func Screenshot(t testing.TB, ctx context.Context, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, png, 0o600))
	}
	if err != nil {
		t.Fatalf("screenshot %s: %v", path, err)
	}
	t.Logf("screenshot: %s (%d bytes)", path, len(png))
}

// complaints are what the browser says against a page.
type complaints struct {
	mu   sync.Mutex
	list []string
}

func (c *complaints) listen(ev any) {
	said, err := json.Marshal(ev)
	if err != nil {
		said = []byte(err.Error())
	}
	thrown := strings.HasSuffix(fmt.Sprintf("%T", ev), ".EventExceptionThrown")
	if !thrown && !bytes.Contains(said, []byte(`"source":"security"`)) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, string(said))
}

func (c *complaints) report(t testing.TB) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, said := range c.list {
		t.Errorf("the browser complains: %s", said)
	}
}

func chromium() string {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
