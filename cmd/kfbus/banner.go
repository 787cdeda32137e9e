package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/kfbus/kfbus/internal/console"
)

// banner says where everything is, and what to try, ready to copy.
func (d *dev) banner(took time.Duration) string {
	w, u := d.world, d.urls
	kf, user := w.account.OpenKfID, w.customers[0].ExternalUserID
	var b strings.Builder
	fmt.Fprintf(&b, "\nkfbus dev is ready in %v. Everything is on this machine; Ctrl-C ends it.\n\n", took.Round(10*time.Millisecond))
	if len(u.moved) > 0 {
		fmt.Fprintf(&b, "These ports were taken, perhaps by another kfbus dev, and others are used: %s.\n\n", strings.Join(u.moved, ", "))
	}
	for _, l := range [][2]string{
		{"chat page", u.page},
		{"NATS", u.nats},
		{"platform", u.platform + "  (simulated WeChat)"},
		{"control", u.control + "  (clock, faults, journal)"},
		{"callbacks", u.callback},
		{"health", u.admin + "/readyz"},
		{"corp", w.corp.CorpID},
		{"account", kf},
		{"customer", user},
	} {
		fmt.Fprintf(&b, "  %-10s %s\n", l[0], l[1])
	}
	n := d.natsFlag()
	fmt.Fprintf(&b, `
Watch, in a second terminal:
  go run ./cmd/kfbus tail%[1]s            (or, with the NATS CLI: nats -s %[2]s sub 'kf.message.>')
Say something as the customer, on the page or here:
  curl -s %[3]s/say -d '{"open_kfid":"%[4]s","external_userid":"%[5]s","text":"你好"}'
Answer, from here or with any NATS client:
  go run ./cmd/kfbus send%[1]s --corp %[6]s %[4]s %[5]s '您好'
  nats -s %[2]s pub -H Nats-Msg-Id:answer-1 kf.command.me.%[6]s.%[4]s.send.%[5]s '{"msgtype":"text","text":{"content":"您好"}}'

`, n, u.nats, u.control, kf, user, w.corp.CorpID)
	return b.String()
}

// natsFlag is what the tools need where NATS is not on its usual port.
func (d *dev) natsFlag() string {
	if d.urls.nats == "nats://127.0.0.1:4222" {
		return ""
	}
	return " --nats " + d.urls.nats
}

// info is what the page says of its surroundings, with commands to copy.
func (d *dev) info() console.Info {
	u, n := d.urls, d.natsFlag()
	return console.Info{NATSURL: u.nats, PlatformURL: u.platform, ControlURL: u.control, Commands: []console.Command{
		{EN: "Watch", ZH: "观察", Text: "go run ./cmd/kfbus tail" + n},
		{EN: "Watch with the NATS CLI", ZH: "用 NATS CLI 观察", Text: "nats -s " + u.nats + " sub 'kf.message.>'"},
		{EN: "Answer", ZH: "回复", Text: "go run ./cmd/kfbus send" + n + " --corp {corp} {open_kfid} {external_userid} '您好'"},
		{EN: "Answer with the NATS CLI", ZH: "用 NATS CLI 回复", Text: "nats -s " + u.nats +
			` pub -H Nats-Msg-Id:answer-1 kf.command.me.{corp}.{open_kfid}.send.{external_userid} '{"msgtype":"text","text":{"content":"您好"}}'`},
		{EN: "Let two days pass", ZH: "让两天过去", Text: "curl -s " + u.control + `/clock -d '{"advance":"48h"}'`},
	}}
}
