package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kfbus/kfbus/internal/testkit"
)

// TestPageOverTheRealPipeline drives the page of `kfbus dev` in a browser: what
// is typed goes through all four services and comes back.
func TestPageOverTheRealPipeline(t *testing.T) {
	browser := testkit.Browser(t)
	s := startStack(t)
	do := func(what string, steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		ctx, cancel := context.WithTimeout(browser, testkit.Patience)
		defer cancel()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	sees := func(text string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(browser, testkit.Patience)
		defer cancel()
		if _, err := chromedp.Run(ctx, chromedp.Poll[bool](`document.body.innerText.includes("`+text+`")`)); err != nil {
			t.Fatalf("waited for %q on the page: %v", text, err)
		}
	}
	do("open", chromedp.Navigate(s.urls.page), chromedp.WaitVisible("#say-text"))
	do("write as the customer", chromedp.SendKeys("#say-text", "你好，在吗？\r"))
	sees("kf_msg_or_event")
	sees("47:59:") // the window is open, by the sender's word
	do("answer as a team", chromedp.SendKeys("#answer-text", "在的，您好！\r"))
	sees("accepted · 4 left")
	phone := s.sim.Phone(s.kf(), s.user())
	if got := string(phone[len(phone)-1].Body); !strings.Contains(got, "在的，您好！") {
		t.Errorf("the phone shows %s", got)
	}
	dir := os.Getenv("KF_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	testkit.Screenshot(t, browser, filepath.Join(dir, "dev.png"))
}
