package main

import (
	"os"
	"strings"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/services/ingress"
	"github.com/kfbus/kfbus/services/tokenkeeper"
)

// knownVariables are all that any mode of kfbus reads: services may share one file of variables. secrets are those of them
// whose value is one.
func knownVariables() (names, secrets []string) {
	add := func(prefix string, cfgs ...any) {
		vars, err := service.Variables(prefix, cfgs...)
		if err != nil {
			panic(err) // the configuration structs are ours
		}
		for _, v := range vars {
			names = append(names, v.Name)
			if v.Secret {
				names, secrets = append(names, v.Name+"_FILE"), append(secrets, v.Name)
			}
		}
	}
	add("KF", &settings{}, &corpEnv{}, &ingressEnv{}, &doorEnv{}, &syncerEnv{}, &senderEnv{}, &readerEnv{},
		&tokenkeeperEnv{}, &singleEnv{}, &topologyConfig{})
	for _, name := range listed("KF_CORPS") {
		add(corpPrefix(name), &idEnv{}, &ingress.Door{})
	}
	for _, name := range listed("KF_TOKENKEEPER_CREDENTIALS") {
		add(credentialPrefix(name), &tokenkeeper.Named{})
	}
	return names, secrets
}

func listed(variable string) []string {
	if v := os.Getenv(variable); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}
