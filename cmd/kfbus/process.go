package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/ingress"
	"github.com/kfbus/kfbus/services/sender"
	"github.com/kfbus/kfbus/services/syncer"
	"github.com/kfbus/kfbus/services/tokenkeeper"
)

// settings are the variables that services share.
type settings struct {
	service.Config
	NATS       bus.Config
	EventMode  string `split_words:"true" default:"structured" unit:"structured or binary" desc:"form of published CloudEvents"`
	APIBaseURL string `split_words:"true" default:"https://qyapi.weixin.qq.com" desc:"where the platform's API is"`
	AllowHTTP  bool   `split_words:"true" default:"false" desc:"permit plain http to an API that is not on this machine: for a simulator in another container only"`
}

// Validate reports what is out of bounds.
func (c settings) Validate() error {
	if c.EventMode != bus.ModeStructured && c.EventMode != bus.ModeBinary {
		return fmt.Errorf("KF_EVENT_MODE must be %s or %s", bus.ModeStructured, bus.ModeBinary)
	}
	return nil
}

// corpEnv is the corp that a process serves. The ingress may serve several.
type corpEnv struct {
	CorpID string `split_words:"true" required:"true" example:"ww0123456789abcdef" desc:"the corpid (企业ID) of the admin console"`
}

// Each service's own variables, under its name.
type (
	ingressEnv struct {
		Corps   []string `desc:"names of several corps or apps of which callbacks are taken, each with KF_CORP_<NAME>_… of its own and the path /callback/<name>; empty: KF_CORP_ID alone"`
		Ingress ingress.Config
	}
	syncerEnv struct{ Syncer syncer.Config }
	senderEnv struct {
		Sender    sender.Config
		Teams     string `desc:"who may command: a team with its accounts, its commands a minute and its share of a customer's five messages, as in \"shop: accounts=wkA,wkB rate=600 share=4; crm: accounts=*\"; empty: any team, every account"`
		TeamsFile string `split_words:"true" desc:"a file with the same, one team a line; instead of KF_TEAMS"`
	}
	tokenkeeperEnv struct {
		Tokenkeeper     tokenkeeper.Config
		Token           tokens.Sealing
		OfficialBaseURL string `split_words:"true" default:"https://api.weixin.qq.com" desc:"where official accounts and mini programs fetch access tokens"`
	}
	singleEnv struct{ Tokenkeeper tokenkeeper.Single } // the one credential

	// readerEnv is of services that use access tokens.
	readerEnv struct {
		Credential string `default:"kf" desc:"whose access token is used: the name under which the tokenkeeper publishes it (its KF_TOKENKEEPER_CREDENTIAL)"`
		Token      tokens.Opening
	}

	doorEnv struct{ Ingress ingress.Door } // of the one corp
	idEnv   struct {
		ID string `required:"true" example:"ww0123456789abcdef" desc:"the corpid (企业ID) of this corp"`
	}
)

// process is one running kfbus: the shell, and what its services are wired with.
type process struct {
	settings
	corp   string // empty for an ingress of several
	shell  *service.Shell
	dialer []nats.Option // `dev` connects in the process
	now    func() time.Time
}

func newProcess(name string, s settings, log io.Writer) (*process, error) {
	version, revision := build()
	shell, err := service.NewShell(service.App{Name: name, Version: version, Revision: revision}, s.Config, log, time.Now)
	if err != nil {
		return nil, err
	}
	known, secrets := knownVariables()
	service.WarnUnknown(shell.Log, service.UnknownVariables("KF", os.Environ(), known))
	service.ForgetSecrets(secrets)
	return &process{settings: s, shell: shell, now: time.Now}, nil
}

// connect gives a service its own connection, closed after all parts have ended.
func (p *process) connect(name string) (*bus.Bus, error) {
	cfg := p.NATS
	cfg.EventMode = p.EventMode
	b, err := bus.Connect(cfg, "kfbus "+name, p.shell.Deps(name).Log, p.dialer...)
	if err != nil {
		return nil, err
	}
	p.shell.Cleanup("nats "+name, func(context.Context) error { b.Close(); return nil })
	return b, nil
}

// api is the platform's; official is empty for those who need no token of an official account.
func (p *process) api(official string) (*kfapi.Client, error) {
	return kfapi.New(kfapi.Config{BaseURL: p.APIBaseURL, OfficialBaseURL: official, AllowHTTP: p.AllowHTTP, Now: p.now})
}

func (p *process) ingress(cfg ingress.Config, doors []ingress.Door) ([]service.Part, *ingress.Ingress, error) {
	b, err := p.connect(ingress.Name)
	if err != nil {
		return nil, nil, err
	}
	in, err := ingress.New(cfg, doors, p.shell.Deps(ingress.Name), b)
	if err != nil {
		return nil, nil, err
	}
	return []service.Part{{Name: ingress.Name, Run: in.Run}}, in, nil
}

// loadDoor reads the settings of the one corp of KF_CORP_ID.
func loadDoor() (ingress.Door, []any, error) {
	var corp corpEnv
	var env doorEnv
	if err := service.Load("KF", &corp, &env); err != nil {
		return ingress.Door{}, nil, err
	}
	env.Ingress.CorpID = corp.CorpID
	return env.Ingress, []any{&env}, env.Ingress.Validate()
}

// corpPrefix is how the variables of a corp in KF_CORPS begin.
func corpPrefix(name string) string {
	return "KF_CORP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// credentialPrefix is how the variables of a credential in KF_TOKENKEEPER_CREDENTIALS begin.
func credentialPrefix(name string) string {
	return "KF_CREDENTIAL_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

var shortName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// ownVariables refuses names, listed in a variable, of which another variable would belong to two: of a and a-old,
// KF_CORP_A_OLD_CALLBACK_TOKEN.
func ownVariables(list string, names []string, prefix func(string) string, cfgs ...any) error {
	of := map[string]string{}
	for _, name := range names {
		if !shortName.MatchString(name) {
			return fmt.Errorf("%s has the name %q; a name is 1 to 32 lower-case letters, digits and -, and between two there is a comma alone", list, name)
		}
		vars, err := service.Variables(prefix(name), cfgs...)
		if err != nil {
			panic(err) // the configuration structs are ours
		}
		for _, v := range vars {
			if other, taken := of[v.Name]; taken {
				return fmt.Errorf("%s has %s and %s, and %s would be of both; rename one", list, other, name, v.Name)
			}
			of[v.Name] = name
		}
	}
	return nil
}

// loadDoors reads the settings of each corp that KF_CORPS names, and what service.WatchSecrets wants of them, by prefix.
func loadDoors(names []string) ([]ingress.Door, map[string][]any, error) {
	var doors []ingress.Door
	secrets := map[string][]any{}
	if len(names) == 0 {
		d, cfgs, err := loadDoor()
		return []ingress.Door{d}, map[string][]any{"KF": cfgs}, err
	}
	if err := ownVariables("KF_CORPS", names, corpPrefix, &idEnv{}, &ingress.Door{}); err != nil {
		return nil, nil, usage(err)
	}
	for _, name := range names {
		prefix := corpPrefix(name)
		var id idEnv
		d := ingress.Door{Name: name}
		if err := service.Load(prefix, &id, &d); err != nil {
			return nil, nil, err
		}
		d.CorpID = id.ID
		secrets[prefix] = []any{&d}
		doors = append(doors, d)
	}
	return doors, secrets, nil
}

// loadTokenkeeper fills what the tokenkeeper reads, and returns the credentials: the one of KF_CORP_ID, or those that
// KF_TOKENKEEPER_CREDENTIALS names; and what service.WatchSecrets wants, by prefix.
func loadTokenkeeper(common *settings, own *tokenkeeperEnv) ([]tokenkeeper.Credential, map[string][]any, error) {
	secrets := map[string][]any{"KF": {own}}
	if os.Getenv("KF_TOKENKEEPER_CREDENTIALS") == "" {
		var corp corpEnv
		var one singleEnv
		secrets["KF"] = append(secrets["KF"], &one)
		err := service.Load("KF", common, own, &corp, &one)
		return []tokenkeeper.Credential{one.Tokenkeeper.Of(corp.CorpID)}, secrets, err
	}
	if err := service.Load("KF", common, own); err != nil {
		return nil, nil, err
	}
	names := own.Tokenkeeper.Credentials
	if err := ownVariables("KF_TOKENKEEPER_CREDENTIALS", names, credentialPrefix, &tokenkeeper.Named{}); err != nil {
		return nil, nil, usage(err)
	}
	var all []tokenkeeper.Credential
	for _, name := range names {
		var n tokenkeeper.Named
		if err := service.Load(credentialPrefix(name), &n); err != nil {
			return nil, nil, err
		}
		all = append(all, n.Of(name))
		secrets[credentialPrefix(name)] = []any{&n}
	}
	return all, secrets, nil
}

// caller is what the services that call the platform have in common: their
// connection, the API, and the access token as it is kept on the bus.
func (p *process) caller(name string, r readerEnv) (*bus.Bus, *kfapi.Client, *tokens.Watcher, error) {
	b, err := p.connect(name)
	if err != nil {
		return nil, nil, nil, err
	}
	api, err := p.api("")
	if err != nil {
		return nil, nil, nil, err
	}
	form, err := r.Token.Form(p.corp, r.Credential)
	if err != nil {
		return nil, nil, nil, err
	}
	d := p.shell.Deps(name)
	w := tokens.New(b, form, d.Log, p.now)
	return b, api, w, prometheus.WrapRegistererWith(prometheus.Labels{"service": name}, d.Metrics).Register(w)
}

func (p *process) syncer(cfg syncer.Config, r readerEnv) ([]service.Part, error) {
	b, api, w, err := p.caller(bus.ServiceSyncer, r)
	if err != nil {
		return nil, err
	}
	s, err := syncer.New(cfg, syncer.Deps{Deps: p.shell.Deps(bus.ServiceSyncer), Corp: p.corp, Bus: b, API: api, Media: api, Tokens: w})
	if err != nil {
		return nil, err
	}
	return []service.Part{{Name: "syncer tokens", Run: w.Run}, {Name: bus.ServiceSyncer, Run: s.Run}}, nil
}

// teams reads who may command.
func (e senderEnv) teams() ([]sender.Team, error) {
	name, text := "KF_TEAMS", e.Teams
	if e.TeamsFile != "" {
		if e.Teams != "" {
			return nil, usage(errors.New("KF_TEAMS and KF_TEAMS_FILE are both set: keep one"))
		}
		data, err := os.ReadFile(e.TeamsFile)
		if err != nil {
			return nil, usage(fmt.Errorf("KF_TEAMS_FILE cannot be read: %w", err))
		}
		name, text = "KF_TEAMS_FILE", string(data)
	}
	list, err := sender.ParseTeams(text)
	if err == nil && e.TeamsFile != "" && len(list) == 0 {
		err = errors.New("the file names no team; leave it out to let every team use every account")
	}
	if err != nil {
		return nil, usage(fmt.Errorf("%s: %w", name, err))
	}
	return list, nil
}

func (p *process) sender(env senderEnv, r readerEnv) ([]service.Part, error) {
	teams, err := env.teams()
	if err != nil {
		return nil, err
	}
	if len(teams) == 0 && p.dialer == nil { // dev is one's own
		p.shell.Log.Warn().Msg("KF_TEAMS is empty: every team may use every account, and all of a customer's five messages")
	}
	b, api, w, err := p.caller(bus.ServiceSender, r)
	if err != nil {
		return nil, err
	}
	s, err := sender.New(env.Sender, sender.Deps{Deps: p.shell.Deps(bus.ServiceSender), Corp: p.corp, Bus: b, API: api, Tokens: w, Teams: teams})
	if err != nil {
		return nil, err
	}
	return []service.Part{{Name: "sender tokens", Run: w.Run}, {Name: bus.ServiceSender, Run: s.Run}}, nil
}

func (p *process) tokenkeeper(env tokenkeeperEnv, credentials []tokenkeeper.Credential) ([]service.Part, error) {
	const name = tokenkeeper.Name
	b, err := p.connect(name)
	if err != nil {
		return nil, err
	}
	api, err := p.api(env.OfficialBaseURL)
	if err != nil {
		return nil, err
	}
	t, err := tokenkeeper.New(env.Tokenkeeper, env.Token, credentials, b, api, p.shell.Deps(name))
	if err != nil {
		return nil, err
	}
	return []service.Part{{Name: name, Run: t.Run}}, nil
}

// environment is the table of variables for --help.
func environment(cfgs ...any) string { return "Environment:\n" + environmentOf("KF", cfgs...) }

func environmentOf(prefix string, cfgs ...any) string {
	var b strings.Builder
	if err := service.Usage(&b, prefix, cfgs...); err != nil {
		panic(err) // the configuration structs are ours
	}
	return b.String()
}
