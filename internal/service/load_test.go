package service

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

type natsConfig struct {
	URL      string `default:"nats://127.0.0.1:4222" desc:"where the bus is"`
	Password Secret `desc:"password of the bus user"`
}

// Validate is there to see that nested structs are asked.
func (c natsConfig) Validate() error {
	if strings.HasPrefix(c.URL, "http") {
		return errors.New("KFTEST_NATS_URL must be a nats URL")
	}
	return nil
}

type testConfig struct {
	Config
	NATS        natsConfig
	CorpID      string        `split_words:"true" required:"true" desc:"id of the corp" example:"ww0123456789abcdef"`
	CorpSecret  Secret        `split_words:"true" required:"true" desc:"secret of the Kf app"`
	SendTimeout time.Duration `split_words:"true" default:"5s" desc:"one HTTP attempt"`
	Prefetch    int           `default:"2" unit:"commands" desc:"held in memory"`
	Teams       []string      `desc:"who may write"`
	Verbose     bool          `desc:"say more"`
}

// Validate is a rule across fields.
func (c testConfig) Validate() error {
	if c.SendTimeout >= c.StopTimeout {
		return fmt.Errorf("KFTEST_SEND_TIMEOUT is %v and must stay below KFTEST_STOP_TIMEOUT (%v)", c.SendTimeout, c.StopTimeout)
	}
	return nil
}

// setenv sets exactly these variables of the prefix, and restores all at the end.
func setenv(t *testing.T, env map[string]string) {
	t.Helper()
	fields, err := gather("KFTEST", []any{new(testConfig)})
	must(t, err)
	for _, f := range fields {
		for _, name := range []string{f.Name, f.Name + fileSuffix} {
			t.Setenv(name, "") // so that it is restored
			must(t, os.Unsetenv(name))
		}
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
}

func TestLoadFills(t *testing.T) {
	setenv(t, map[string]string{
		"KFTEST_CORP_ID": "ww1", "KFTEST_CORP_SECRET_FILE": fileWith(t, canary+"\n"), "KFTEST_NATS_PASSWORD": canary + "2",
		"KFTEST_TEAMS": "a,b", "KFTEST_SEND_TIMEOUT": "", "KFTEST_LOG_LEVEL": "debug",
	})
	var cfg testConfig
	must(t, Load("KFTEST", &cfg))
	secrets := map[string]Secret{"file": cfg.CorpSecret, "variable": cfg.NATS.Password}
	for name, want := range map[string]string{"file": canary, "variable": canary + "2"} {
		if got := secrets[name].Reveal(); got != want {
			t.Errorf("secret from %s: got %q, want %q", name, got, want)
		}
	}
	hides(t, "configuration", fmt.Sprintf("%+v", cfg))
	cfg.CorpSecret, cfg.NATS.Password = Secret{}, Secret{}
	want := testConfig{
		Config: Config{LogLevel: "debug", LogFormat: "json", AdminAddr: "127.0.0.1:9090", StopTimeout: 25 * time.Second, LameDuck: 5 * time.Second},
		NATS:   natsConfig{URL: "nats://127.0.0.1:4222"}, CorpID: "ww1", SendTimeout: 5 * time.Second, Prefetch: 2, Teams: []string{"a", "b"},
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v, want %+v", cfg, want)
	}
}

func TestLoadUnsetsSecretsWhateverHappens(t *testing.T) {
	for name, corpID := range map[string]string{"good": "ww1", "incomplete": ""} {
		path := fileWith(t, canary)
		setenv(t, map[string]string{"KFTEST_CORP_ID": corpID, "KFTEST_CORP_SECRET_FILE": path, "KFTEST_NATS_PASSWORD": canary})
		if err := Load("KFTEST", new(testConfig)); (err == nil) != (name == "good") {
			t.Errorf("%s: got %v", name, err)
		}
		hides(t, name+" environment", strings.Join(os.Environ(), "\n"))
		for _, variable := range []string{"KFTEST_CORP_SECRET", "KFTEST_NATS_PASSWORD"} {
			if value, set := os.LookupEnv(variable); set {
				t.Errorf("%s: %s is still set, to %q", name, variable, value)
			}
		}
		if got := os.Getenv("KFTEST_CORP_SECRET_FILE"); got != path {
			t.Errorf("%s: the path is no secret: got %q, want %q", name, got, path)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	good := func() map[string]string {
		return map[string]string{"KFTEST_CORP_ID": "ww1", "KFTEST_CORP_SECRET": canary}
	}
	for _, c := range []struct {
		name string
		env  map[string]string
		want []string
	}{
		{"all that is missing, at once", map[string]string{"KFTEST_CORP_ID": "", "KFTEST_CORP_SECRET": ""}, []string{
			"KFTEST_CORP_ID is required but not set: id of the corp; for example KFTEST_CORP_ID=ww0123456789abcdef",
			"KFTEST_CORP_SECRET is required but not set: secret of the Kf app; put it in a file and set, for example, " +
				"KFTEST_CORP_SECRET_FILE=/run/secrets/kftest_corp_secret",
		}},
		{"both set", map[string]string{"KFTEST_CORP_SECRET_FILE": fileWith(t, canary)},
			[]string{"KFTEST_CORP_SECRET and KFTEST_CORP_SECRET_FILE are both set: keep one, better the file"}},
		{"no such file", map[string]string{"KFTEST_NATS_PASSWORD_FILE": filepath.Join(t.TempDir(), "none")},
			[]string{"KFTEST_NATS_PASSWORD_FILE: ", "no such file"}},
		{"empty file", map[string]string{"KFTEST_CORP_SECRET": "", "KFTEST_CORP_SECRET_FILE": fileWith(t, "\n")},
			[]string{"KFTEST_CORP_SECRET_FILE: ", "is empty"}},
		{"duration without unit", map[string]string{"KFTEST_SEND_TIMEOUT": "7"},
			[]string{"KFTEST_SEND_TIMEOUT cannot be read as duration: one HTTP attempt; for example KFTEST_SEND_TIMEOUT=5s"}},
		{"secret in the wrong variable", map[string]string{"KFTEST_PREFETCH": canary},
			[]string{"KFTEST_PREFETCH cannot be read as integer: held in memory; for example KFTEST_PREFETCH=2"}},
		{"neither yes nor no", map[string]string{"KFTEST_VERBOSE": canary}, []string{"KFTEST_VERBOSE cannot be read as true or false: say more"}},
		{"rule across fields", map[string]string{"KFTEST_SEND_TIMEOUT": "25s"},
			[]string{"KFTEST_SEND_TIMEOUT is 25s and must stay below KFTEST_STOP_TIMEOUT (25s)"}},
		{"rule of the embedded struct", map[string]string{"KFTEST_LOG_FORMAT": canary}, []string{"KF_LOG_FORMAT must be json or console"}},
		{"rule of the nested struct", map[string]string{"KFTEST_NATS_URL": "http://" + canary}, []string{"KFTEST_NATS_URL must be a nats URL"}},
		{"all rules, at once", map[string]string{"KFTEST_SEND_TIMEOUT": "1h", "KFTEST_LAME_DUCK": "-1s"},
			[]string{"KF_LAME_DUCK is -1s and must not be negative", "KFTEST_SEND_TIMEOUT is 1h0m0s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := good()
			for k, v := range c.env {
				env[k] = v
			}
			setenv(t, env)
			err := Load("KFTEST", new(testConfig))
			if !errors.Is(err, ErrUsage) || ExitCode(err) != ExitUsage {
				t.Fatalf("got %v, want an ErrUsage", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want in it %q", err, want)
				}
			}
			if c.name == "all that is missing, at once" && strings.Count(err.Error(), "\n")+1 != len(c.want) {
				t.Errorf("got %q, want %d lines", err, len(c.want))
			}
			hides(t, c.name, err.Error())
		})
	}
}

func TestLoadKeepsPresetValueOfUnsetVariable(t *testing.T) {
	setenv(t, map[string]string{"KFTEST_CORP_ID": "ww1", "KFTEST_CORP_SECRET": canary})
	cfg := testConfig{Teams: []string{"preset"}, NATS: natsConfig{Password: NewSecret("preset")}}
	must(t, Load("KFTEST", &cfg))
	if len(cfg.Teams) != 1 || cfg.NATS.Password.Reveal() != "preset" {
		t.Errorf("got %v and %q, want the preset values", cfg.Teams, cfg.NATS.Password.Reveal())
	}
}

func TestLoadOfSeveralSharesVariables(t *testing.T) {
	setenv(t, map[string]string{"KFTEST_CORP_ID": "ww1", "KFTEST_CORP_SECRET": canary, "KFTEST_NATS_PASSWORD_FILE": fileWith(t, "pw")})
	var first, second testConfig
	var third struct{ NATS natsConfig }
	must(t, Load("KFTEST", &first, &second, &third))
	if !first.CorpSecret.Equal(second.CorpSecret) || second.CorpSecret.Reveal() != canary {
		t.Error("the second configuration did not get the secret of the first")
	}
	for i, s := range []Secret{first.NATS.Password, second.NATS.Password, third.NATS.Password} {
		if got := s.Reveal(); got != "pw" {
			t.Errorf("configuration %d: got %q, want pw", i, got)
		}
	}
}

type promoting struct{ Config } // its Validate is Config's

func TestLoadSaysOnceWhatAPromotedValidateSays(t *testing.T) {
	setenv(t, map[string]string{"KFTEST_LAME_DUCK": "-1s"})
	err := Load("KFTEST", new(promoting))
	if err == nil || strings.Count(err.Error(), "KF_LAME_DUCK") != 1 {
		t.Errorf("got %v, want one complaint about KF_LAME_DUCK", err)
	}
}

func TestLoadRefusesWhatCannotBeAConfiguration(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  any
		want string
	}{
		{"not a pointer", testConfig{}, "struct pointer"},
		{"nothing", nil, "struct pointer"},
		{"pointer to a number", new(int), "struct pointer"},
		{"list of secrets", new(struct{ Keys []Secret }), "KFTEST_KEYS: a secret must be a plain field, not []service.Secret"},
		{"map of secrets", new(struct{ Keys map[string]*Secret }), "KFTEST_KEYS: a secret must be a plain field"},
		{"name without prefix", new(struct {
			URL string `envconfig:"NATS_URL"`
		}), `also reads NATS_URL without the prefix; use split_words`},
	} {
		for how, err := range map[string]error{"load": Load("KFTEST", c.cfg), "variables": second(Variables("KFTEST", c.cfg))} {
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrUsage) {
				t.Errorf("%s, %s: got %v, want %q and no ErrUsage: it is our own bug", c.name, how, err, c.want)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestConfigValidate(t *testing.T) {
	good := Config{LogLevel: "info", LogFormat: "json", AdminAddr: ":9090", StopTimeout: time.Second}
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string // "" is valid
	}{
		{"good", func(*Config) {}, ""},
		{"console at debug", func(c *Config) { c.LogFormat, c.LogLevel = "console", "debug" }, ""},
		{"any free port", func(c *Config) { c.AdminAddr = "[::1]:0" }, ""},
		{"trace level", func(c *Config) { c.LogLevel = "trace" }, "KF_LOG_LEVEL"},
		{"no level", func(c *Config) { c.LogLevel = "" }, "KF_LOG_LEVEL"},
		{"other format", func(c *Config) { c.LogFormat = "xml" }, "KF_LOG_FORMAT"},
		{"address without port", func(c *Config) { c.AdminAddr = "127.0.0.1" }, "KF_ADMIN_ADDR"},
		{"named port", func(c *Config) { c.AdminAddr = ":http" }, "KF_ADMIN_ADDR"},
		{"port too high", func(c *Config) { c.AdminAddr = ":65536" }, "KF_ADMIN_ADDR"},
		{"no time to stop", func(c *Config) { c.StopTimeout = 0 }, "KF_STOP_TIMEOUT"},
		{"negative lame duck", func(c *Config) { c.LameDuck = -1 }, "KF_LAME_DUCK"},
	} {
		cfg := good
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if _, err := NewShell(App{}, cfg, os.Stderr, time.Now); (err == nil) != (c.want == "") || err != nil && ExitCode(err) != ExitUsage {
			t.Errorf("%s: NewShell: got %v", c.name, err)
		}
	}
}
