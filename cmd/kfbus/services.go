package main

import (
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
	var tk tokenkeeperEnv
	return []*cobra.Command{
		serviceCommand(s, ingress.Name, "take WeChat's callbacks and keep them", &in,
			func(p *process) ([]service.Part, error) { parts, _, err := p.ingress(in.Ingress); return parts, err }),
		serviceCommand(s, bus.ServiceSyncer, "pull the messages behind the callbacks and publish them", &sy,
			func(p *process) ([]service.Part, error) { return p.syncer(sy.Syncer) }),
		serviceCommand(s, bus.ServiceSender, "carry commands to customers under the platform's rules", &se,
			func(p *process) ([]service.Part, error) { return p.sender(se.Sender) }),
		serviceCommand(s, tokenkeeper.Name, "keep the access tokens fresh; the only one with the corpsecret", &tk,
			func(p *process) ([]service.Part, error) { return p.tokenkeeper(tk.Tokenkeeper) }),
	}
}

// secretsOf are the files that a service's example needs.
func secretsOf(name string) string {
	switch name {
	case ingress.Name:
		return "KF_INGRESS_CALLBACK_TOKEN_FILE=… KF_INGRESS_ENCODING_AES_KEY_FILE=… "
	case tokenkeeper.Name:
		return "KF_TOKENKEEPER_SECRET_FILE=… "
	}
	return ""
}

func serviceCommand(s std, name, short string, own any, wire func(*process) ([]service.Part, error)) *cobra.Command {
	var common settings
	return &cobra.Command{Use: name, Short: short, Args: none,
		Long:    short + ".\n\nRun as many replicas as you like. Streams must exist: see `kfbus topology apply`.\n\n" + environment(&common, own),
		Example: "  KF_CORP_ID=ww… KF_NATS_URL=nats://nats:4222 " + secretsOf(name) + "kfbus " + name,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := service.Load("KF", &common, own); err != nil {
				return err
			}
			p, err := newProcess(name, common, s.err)
			if err != nil {
				return err
			}
			parts, err := wire(p)
			if err != nil {
				return err
			}
			return p.shell.Run(c.Context(), append(parts, service.WatchSecrets(p.shell.Log, "KF", own))...)
		}}
}
