package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// simOptions are the flags of `kfbus sim`.
type simOptions struct {
	listen, control string
	world           worldSpec
	seed            uint64
	script, load    string
	personality     []string
	speed           float64
	journal         string
	journalLimit    int
	workers         int
	output          output
}

// worldSpec is what a fresh simulator shall hold; the zero value means one account and two customers,
// everything else made from the seed.
type worldSpec struct {
	callback, format                        string
	corpID, secret, token, aesKey, openKfID string
	accounts, customers                     int
}

func (o *simOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8090", "host:port of the platform's calls")
	f.StringVar(&o.control, "control", "127.0.0.1:8091", "host:port of the control API")
	f.StringVar(&o.world.callback, "callback", "", "URL that gets the callbacks")
	f.StringVar(&o.world.format, "callback-format", "xml", "xml or json")
	f.IntVar(&o.workers, "callback-workers", 0, "callbacks under way at once (0 means 8); with 1 a seed repeats their order")
	f.StringVar(&o.world.corpID, "corp", "", "corpid (made from the seed)")
	f.StringVar(&o.world.secret, "secret", "", "corpsecret, or @FILE that holds it (made from the seed)")
	f.StringVar(&o.world.token, "token", "", "callback Token, 1 to 32 letters and digits, or @FILE (made from the seed)")
	f.StringVar(&o.world.aesKey, "aes-key", "", "EncodingAESKey, 43 letters and digits, or @FILE (made from the seed)")
	f.StringVar(&o.world.openKfID, "open-kfid", "", "open_kfid of the first account, wk… (made from the seed)")
	f.IntVar(&o.world.accounts, "accounts", 1, "how many accounts")
	f.IntVar(&o.world.customers, "customers", 2, "how many customers")
	f.Uint64Var(&o.seed, "seed", 1, "seed of every id, token and throw of the dice; 0 is another at each start, for services that remember")
	f.StringVar(&o.script, "script", "", "FILE with a fault script")
	f.StringArrayVar(&o.personality, "personality", nil, "FILE with a JSON object, or key=value; may be repeated")
	f.StringVar(&o.load, "load", "", `customers who write: "50/s", or a JSON object like {"per_second":50,"duration":"10m"}`)
	f.Float64Var(&o.speed, "speed", 1, "how fast the platform's clock runs")
	f.StringVar(&o.journal, "journal", "", "FILE that gets the journal as JSON lines")
	f.IntVar(&o.journalLimit, "journal-limit", 0, "keep so many of the latest journal entries in memory (0 means all)")
	o.output.flag(c)
}

// config reads what the flags name. Every error says which flag.
func (o *simOptions) config() (cfg kfsim.Config, load *kfsim.Load, err error) {
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano()) //nolint:gosec // any number will do
	}
	cfg = kfsim.Config{Seed: o.seed, CallbackWorkers: o.workers, JournalLimit: o.journalLimit}
	switch {
	case o.workers < 0:
		return cfg, nil, fmt.Errorf("--callback-workers is %d; give 1 or more, or 0 for 8", o.workers)
	case o.journalLimit < 0:
		return cfg, nil, fmt.Errorf("--journal-limit is %d; give how many entries to keep, or 0 for all", o.journalLimit)
	}
	for _, arg := range o.personality {
		if err := addPersonality(&cfg.Personality, arg); err != nil {
			return cfg, nil, fmt.Errorf("--personality %s: %w", arg, err)
		}
	}
	if o.script != "" {
		text, err := os.ReadFile(o.script)
		if err == nil {
			cfg.Script, err = kfsim.ParseScript(text)
		}
		if err != nil {
			return cfg, nil, fmt.Errorf("--script %s: %w", o.script, err)
		}
	}
	if o.load != "" {
		if load, err = parseLoad(o.load); err != nil {
			return cfg, nil, fmt.Errorf("--load %s: %w", o.load, err)
		}
	}
	if err := o.world.readFiles(); err != nil {
		return cfg, nil, err
	}
	return cfg, load, o.world.check()
}

// readFiles takes @FILE for what it holds: secrets that others must have too.
func (w *worldSpec) readFiles() error {
	for flag, value := range map[string]*string{"secret": &w.secret, "token": &w.token, "aes-key": &w.aesKey} {
		if file, ok := strings.CutPrefix(*value, "@"); ok {
			text, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("--%s: %w", flag, err)
			}
			*value = strings.TrimSuffix(string(text), "\n")
		}
	}
	return nil
}

// check names the flag that is wrong.
func (w worldSpec) check() error {
	if w.accounts < 1 || w.accounts > 5000 {
		return fmt.Errorf("--accounts is %d; a corp has 1 to 5000", w.accounts)
	}
	if w.customers < 1 || w.customers > 1_000_000 {
		return fmt.Errorf("--customers is %d; give 1 to 1000000", w.customers)
	}
	if w.openKfID != "" && (!strings.HasPrefix(w.openKfID, "wk") || len(w.openKfID) > 64) {
		return errors.New("--open-kfid must begin with wk and have 64 bytes at most")
	}
	if w.token != "" || w.aesKey != "" {
		token, key := w.token, w.aesKey
		if token == "" {
			token = "x"
		}
		if key == "" {
			key = strings.Repeat("A", 43)
		}
		if _, err := kfcrypto.New(token, key, "ww"); err != nil {
			return fmt.Errorf("--token, --aes-key: %w; `kfbus keygen` makes good ones", err)
		}
	}
	return nil
}

// addPersonality reads key=value, or a file with a JSON object.
func addPersonality(p *kfsim.Personality, arg string) error {
	key, value, pair := strings.Cut(arg, "=")
	if !pair {
		text, err := os.ReadFile(arg)
		if err != nil {
			return fmt.Errorf("%w; give a file with a JSON object, or key=value", err)
		}
		return json.Unmarshal(text, p)
	}
	raw := json.RawMessage(value)
	if _, err := strconv.ParseFloat(value, 64); err != nil && value != "true" && value != "false" {
		raw, _ = json.Marshal(value) // a string
	}
	object, err := json.Marshal(map[string]json.RawMessage{key: raw})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(object, p); err != nil {
		return fmt.Errorf("%w; docs/simulator.md lists the fields", err)
	}
	return nil
}

// parseLoad reads "50/s" or a JSON object.
func parseLoad(arg string) (*kfsim.Load, error) {
	var load kfsim.Load
	if rate, perSecond := strings.CutSuffix(arg, "/s"); perSecond {
		n, err := strconv.ParseFloat(rate, 64)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("%q is no rate; write it like 50/s", arg)
		}
		load.PerSecond = n
		return &load, nil
	}
	if err := json.Unmarshal([]byte(arg), &load); err != nil {
		return nil, fmt.Errorf(`%w; write 50/s, or a JSON object like {"per_second":50,"duration":"10m"}`, err)
	}
	return &load, nil
}
