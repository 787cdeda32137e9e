package bus

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

// Config says where the broker is and who we are.
type Config struct {
	URL         string        `default:"nats://127.0.0.1:4222" desc:"NATS servers, separated by commas"`
	NkeyFile    string        `split_words:"true" desc:"file with the NKey seed of this service's user"`
	CredsFile   string        `split_words:"true" desc:"file with JWT credentials, instead of an NKey"`
	CAFile      string        `split_words:"true" desc:"file with the CA certificates of the servers; given, TLS is required"`
	CertFile    string        `split_words:"true" desc:"file with this client's certificate"`
	KeyFile     string        `split_words:"true" desc:"file with this client's private key"`
	InboxPrefix string        `split_words:"true" desc:"prefix of reply subjects; must match the user's permissions"`
	EventMode   string        `ignored:"true"` // KF_EVENT_MODE, which is not the connection's
	Timeout     time.Duration `split_words:"true" default:"5s" desc:"longest wait for an answer of the broker"`
}

// Validate checks the rules across fields.
func (c Config) Validate() error {
	switch {
	case c.NkeyFile != "" && c.CredsFile != "":
		return errors.New("give KF_NATS_NKEY_FILE or KF_NATS_CREDS_FILE, not both")
	case (c.CertFile == "") != (c.KeyFile == ""):
		return errors.New("KF_NATS_CERT_FILE and KF_NATS_KEY_FILE go together")
	case c.EventMode != "" && c.EventMode != ModeStructured && c.EventMode != ModeBinary:
		return fmt.Errorf("KF_EVENT_MODE is neither %q nor %q", ModeStructured, ModeBinary)
	}
	return nil
}

// Bus is one connection and what is done over it. Safe for concurrent use.
type Bus struct {
	NC      *nats.Conn
	JS      jetstream.JetStream
	mode    string
	timeout time.Duration
	again   []jetstream.PublishOpt
	log     zerolog.Logger
}

// Connect dials the broker and returns at once, also while the broker is away:
// the client keeps trying for ever, and what is asked of it meanwhile fails with
// [ErrDisconnected]. name is shown in the broker's connection list. More options
// of nats.go, such as an in-process dialer, come last and win.
func Connect(cfg Config, name string, log zerolog.Logger, more ...nats.Option) (*Bus, error) {
	opts := []nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(3),
		nats.ReconnectBufSize(-1), // nothing is sent after its caller gave up
		nats.DrainTimeout(25 * time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			e := log.Warn().Err(err)
			if sub != nil {
				e = e.Str("subject", sub.Subject)
			}
			e.Msg("nats reports an error; a refused permission shows here and at its caller as a timeout")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: we closed it
				log.Warn().Err(err).Msg("nats disconnected")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info().Str("server", nc.ConnectedUrlRedacted()).Msg("nats reconnected") }),
	}
	more2, err := credentials(cfg)
	if err != nil {
		return nil, err
	}
	opts = append(append(opts, more2...), more...)
	nc, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to nats: %w", redact(err, cfg.URL))
	}
	timeout := cfg.Timeout
	if timeout <= 0 {
		timeout = 5 * time.Second
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncTimeout(2*timeout), jetstream.WithDefaultTimeout(timeout),
		jetstream.WithPublishAsyncMaxPending(1<<16))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("connect to nats: %w", err)
	}
	mode := cfg.EventMode
	if mode == "" {
		mode = ModeStructured
	}
	again := []jetstream.PublishOpt{jetstream.WithRetryAttempts(1), jetstream.WithRetryWait(100 * time.Millisecond)}
	return &Bus{NC: nc, JS: js, mode: mode, timeout: timeout, again: again, log: log}, nil
}

func credentials(cfg Config) ([]nats.Option, error) {
	var opts []nats.Option
	if cfg.NkeyFile != "" {
		o, err := nats.NkeyOptionFromSeed(cfg.NkeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the nkey seed of KF_NATS_NKEY_FILE: %w", err)
		}
		opts = append(opts, o)
	}
	if cfg.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(cfg.CredsFile))
	}
	if cfg.CAFile != "" {
		opts = append(opts, nats.RootCAs(cfg.CAFile))
	}
	if cfg.CertFile != "" {
		opts = append(opts, nats.ClientCert(cfg.CertFile, cfg.KeyFile))
	}
	if cfg.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(cfg.InboxPrefix))
	}
	return opts, nil
}

// redact cuts the servers' URLs, which may hold a password, out of an error.
func redact(err error, urls string) error {
	text := err.Error()
	for u := range strings.SplitSeq(urls, ",") {
		if u = strings.TrimSpace(u); strings.Contains(u, "@") {
			text = strings.ReplaceAll(text, u, "[url]")
		}
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// Close says goodbye: what was published is flushed, then the connection ends.
// Consumers are drained before, by whoever started them.
func (b *Bus) Close() {
	if b.NC.IsConnected() {
		if err := b.NC.FlushTimeout(b.timeout); err != nil {
			b.log.Warn().Err(err).Msg("flush before closing nats")
		}
	}
	b.NC.Close()
}
