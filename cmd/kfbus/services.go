package main

import (
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/services/ingress"
	"github.com/kfbus/kfbus/services/tokenkeeper"
)

// serviceCommands are the four services as they run in production.
func serviceCommands(s std) []*cobra.Command {
	var in ingressEnv
	var sy syncerEnv
	var se senderEnv
	var reader readerEnv
	return []*cobra.Command{
		ingressCommand(s, &in),
		serviceCommand(s, bus.ServiceSyncer, "pull the messages behind the callbacks and publish them",
			func(p *process) ([]service.Part, error) { return p.syncer(sy.Syncer, reader) }, &sy, &reader),
		serviceCommand(s, bus.ServiceSender, "carry commands to customers under the platform's rules",
			func(p *process) ([]service.Part, error) { return p.sender(se, reader) }, &se, &reader),
		tokenkeeperCommand(s),
	}
}

// secretsOf are the files that a service's example needs.
func secretsOf(name string) string {
	switch name {
	case ingress.Name:
		return "KF_INGRESS_CALLBACK_TOKEN_FILE=… KF_INGRESS_ENCODING_AES_KEY_FILE=… "
	case tokenkeeper.Name:
		return "KF_TOKENKEEPER_SECRET_FILE=… KF_TOKEN_SEAL=xkey KF_TOKEN_SEAL_KEY_FILE=… KF_TOKEN_READERS=syncer=X…,sender=X… "
	}
	return ""
}

const manyReplicas = ".\n\nRun as many replicas as you like. Streams must exist: see `kfbus topology apply`.\n\n"

func serviceCommand(s std, name, short string, wire func(*process) ([]service.Part, error), own ...any) *cobra.Command {
	var common settings
	var corp corpEnv
	all := append([]any{&common, &corp}, own...)
	return &cobra.Command{Use: name, Short: short, Args: none,
		Long:    short + manyReplicas + environment(all...),
		Example: "  KF_CORP_ID=ww… KF_NATS_URL=nats://nats:4222 " + secretsOf(name) + "kfbus " + name,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := service.Load("KF", all...); err != nil {
				return err
			}
			p, err := newProcess(name, common, s.err)
			if err != nil {
				return err
			}
			p.corp = corp.CorpID
			parts, err := wire(p)
			if err != nil {
				return err
			}
			return p.shell.Run(c.Context(), append(parts, service.WatchSecrets(p.shell.Log, "KF", own...))...)
		}}
}

// collectAt is GOGC of an ingress that is told none. It keeps next to nothing in memory, so by Go's default of 100 it would
// collect the garbage of every few hundred callbacks; this saves a sixth of its CPU for 4 MiB.
const collectAt = 200

// ingressCommand is the one service that may serve several corps.
func ingressCommand(s std, own *ingressEnv) *cobra.Command {
	const short = "take WeChat's callbacks and keep them"
	var common settings
	return &cobra.Command{Use: ingress.Name, Short: short, Args: none,
		Long: short + manyReplicas + environment(&common, own, &corpEnv{}, &doorEnv{}) +
			"\nWith KF_CORPS=a,b each corp has, instead of KF_CORP_ID and the KF_INGRESS_… of its callback settings, these:\n\n" +
			environmentOf("KF_CORP_A", &idEnv{}, &ingress.Door{}),
		Example: "  KF_CORP_ID=ww… KF_NATS_URL=nats://nats:4222 " + secretsOf(ingress.Name) + "kfbus ingress\n" +
			"  KF_CORPS=shop,desk KF_CORP_SHOP_ID=ww… KF_CORP_SHOP_CALLBACK_TOKEN_FILE=… … kfbus ingress",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := service.Load("KF", &common, own); err != nil {
				return err
			}
			doors, secrets, err := loadDoors(own.Corps)
			if err != nil {
				return err
			}
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(collectAt)
			}
			p, err := newProcess(ingress.Name, common, s.err)
			if err != nil {
				return err
			}
			parts, _, err := p.ingress(own.Ingress, doors)
			if err != nil {
				return err
			}
			for prefix, cfgs := range secrets {
				parts = append(parts, service.WatchSecrets(p.shell.Log, prefix, cfgs...))
			}
			return p.shell.Run(c.Context(), parts...)
		}}
}

// tokenkeeperCommand is the one service that may have the secrets of several apps.
func tokenkeeperCommand(s std) *cobra.Command {
	const short = "keep the access tokens fresh; the only one with the corpsecret"
	var common settings
	var own tokenkeeperEnv
	return &cobra.Command{Use: tokenkeeper.Name, Short: short, Args: none,
		Long: short + manyReplicas + environment(&common, &own, &corpEnv{}, &singleEnv{}) +
			"\nKF_TOKENKEEPER_CREDENTIAL is the name under which this process publishes a token; syncer and sender ask for it by the same name in\n" +
			"their KF_CREDENTIAL, which is not read here. With KF_TOKENKEEPER_CREDENTIALS=a,b each credential has, instead of KF_CORP_ID,\n" +
			"KF_TOKENKEEPER_CREDENTIAL and KF_TOKENKEEPER_SECRET, these, and its own name:\n\n" +
			environmentOf("KF_CREDENTIAL_A", &tokenkeeper.Named{}),
		Example: "  KF_CORP_ID=ww… KF_NATS_URL=nats://nats:4222 " + secretsOf(tokenkeeper.Name) + "kfbus tokenkeeper\n" +
			"  KF_TOKENKEEPER_CREDENTIALS=kf,shop KF_CREDENTIAL_KF_ID=ww… KF_CREDENTIAL_KF_SECRET_FILE=… KF_CREDENTIAL_SHOP_ID=wx… KF_CREDENTIAL_SHOP_KIND=stable … kfbus tokenkeeper",
		RunE: func(c *cobra.Command, _ []string) error {
			credentials, secrets, err := loadTokenkeeper(&common, &own)
			if err != nil {
				return err
			}
			p, err := newProcess(tokenkeeper.Name, common, s.err)
			if err != nil {
				return err
			}
			parts, err := p.tokenkeeper(own, credentials)
			if err != nil {
				return err
			}
			for prefix, cfgs := range secrets {
				parts = append(parts, service.WatchSecrets(p.shell.Log, prefix, cfgs...))
			}
			return p.shell.Run(c.Context(), parts...)
		}}
}
