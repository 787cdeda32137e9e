package syncer

import (
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/service"
)

func defaultConfig(t testing.TB) Config {
	t.Helper()
	var c Config
	if err := service.Load("KF_SYNCER", &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfig(t *testing.T) {
	c := defaultConfig(t)
	if c.PageLimit != 500 || c.TurnPages != 20 || c.Sweep != time.Minute || c.TokenlessPerMinute != 30 {
		t.Errorf("defaults: got %+v", c)
	}
	for _, bad := range []struct {
		variable string
		change   func(*Config)
	}{
		{"KF_SYNCER_PAGE_LIMIT", func(c *Config) { c.PageLimit = 0 }},
		{"KF_SYNCER_PAGE_LIMIT", func(c *Config) { c.PageLimit = 1000 }},
		{"KF_SYNCER_TURN_PAGES", func(c *Config) { c.TurnPages = 2 }},
		{"KF_SYNCER_SWEEP", func(c *Config) { c.Sweep = time.Millisecond }},
		{"KF_SYNCER_ACCOUNT_LIST", func(c *Config) { c.AccountList = time.Second }},
		{"KF_SYNCER_TOKENLESS_PER_MINUTE", func(c *Config) { c.TokenlessPerMinute = 0 }},
		{"KF_SYNCER_VOICE_FORMAT", func(c *Config) { c.VoiceFormat = 2 }},
	} {
		c := defaultConfig(t)
		bad.change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), bad.variable+" is ") {
			t.Errorf("%s: got %v, want an error that names it", bad.variable, err)
		}
	}
	c.PageLimit = 999
	if err := c.Validate(); err != nil {
		t.Errorf("a page of 999 and its cursor fit a batch: got %v", err)
	}
}
