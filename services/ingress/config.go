package ingress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/kfbus/kfbus/internal/service"
)

// Config is the ingress's own part of the environment. Its zero value is not
// usable; envconfig fills in the defaults.
type Config struct {
	Addr             string        `default:"127.0.0.1:8080" unit:"host:port" desc:"where WeChat's callbacks arrive; in a container :8080, behind TLS"`
	PublishTimeout   time.Duration `split_words:"true" default:"3500ms" desc:"longest wait for the broker before the answer is 503; WeChat hangs up after 5 s"`
	GroupCommit      string        `split_words:"true" default:"auto" unit:"auto or off" desc:"auto: callbacks that wait for the broker together are stored as one batch where that is measured to be faster: on a single server that syncs always, with about 30 and more of them"`
	Connections      int           `default:"2000" desc:"connections at the same time; more are closed at once"`
	ConnectionsPerIP int           `split_words:"true" default:"50" desc:"the same from one address of the internet; 0 is no limit"`
	RefusalsPerIP    int           `split_words:"true" default:"100" desc:"refused requests a second from one address of the internet, and twice as many at once, before it is answered 429; 0 is no limit"`
	TrustedProxies   []string      `split_words:"true" example:"10.0.0.0/8" desc:"address ranges of your own proxies, whose X-Forwarded-For is believed; empty: none"`
}

// Door is how one app of one corp delivers its callbacks: the settings of the
// admin console, and the path that belongs to them.
type Door struct {
	Name              string         `ignored:"true"` // /callback/<name>; empty: /callback
	CorpID            string         `ignored:"true"` // whose callbacks these are; the corpid (企业ID) of the admin console
	ReceiveID         []string       `split_words:"true" desc:"receiveids that are taken instead of the corpid: the suiteid of a third-party app"`
	CallbackToken     service.Secret `split_words:"true" required:"true" desc:"Token of the callback settings in the admin console"`
	EncodingAESKey    service.Secret `split_words:"true" required:"true" desc:"EncodingAESKey of the callback settings"`
	OldCallbackToken  service.Secret `split_words:"true" desc:"the Token before, while it is being changed"`
	OldEncodingAESKey service.Secret `split_words:"true" desc:"the EncodingAESKey before, while it is being changed"`
	VerifyURL         bool           `split_words:"true" default:"true" desc:"answer the console's check of the URL (GET); false once it is saved"`
	CommandWords      []string       `split_words:"true" default:"帮助,help,开始,start,状态,status" desc:"texts to an app that count as commands in kfclass, besides a leading /"`
	ReplyText         string         `split_words:"true" desc:"encrypted passive reply to each message to the app (not to Kf callbacks and events); empty: none"`
}

const (
	groupAuto = "auto"
	groupOff  = "off"
)

const (
	platformPatience = 5 * time.Second // how long WeChat waits for an answer
	maxReply         = 2048            // bytes of a passive text
)

// Validate reports what is out of bounds, all at once.
func (c Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, errors.New("KF_INGRESS_ADDR must be host:port, for example :8080"))
	}
	if c.PublishTimeout <= 0 || c.PublishTimeout > platformPatience-500*time.Millisecond {
		errs = append(errs, fmt.Errorf("KF_INGRESS_PUBLISH_TIMEOUT is %v and must be more than 0s and at most 4.5s: WeChat hangs up after %v",
			c.PublishTimeout, platformPatience))
	}
	if c.GroupCommit != groupAuto && c.GroupCommit != groupOff {
		errs = append(errs, fmt.Errorf("KF_INGRESS_GROUP_COMMIT must be %s or %s", groupAuto, groupOff))
	}
	if c.Connections < 1 || c.ConnectionsPerIP < 0 || c.RefusalsPerIP < 0 {
		errs = append(errs, errors.New("KF_INGRESS_CONNECTIONS must be at least 1, KF_INGRESS_CONNECTIONS_PER_IP and KF_INGRESS_REFUSALS_PER_IP not negative"))
	}
	if _, err := c.proxies(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c Config) proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if a, aerr := netip.ParseAddr(s); aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, errors.New("KF_INGRESS_TRUSTED_PROXIES must be addresses or ranges like 10.0.0.0/8")
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// Validate reports what is out of bounds, all at once, but for the CorpID: that has another variable, and is set later.
func (d Door) Validate() error {
	var errs []error
	if len(d.Name) > 32 || !only(d.Name, "abcdefghijklmnopqrstuvwxyz"+digits+"-") {
		errs = append(errs, errors.New("a corp's name in KF_CORPS is 1 to 32 lower-case letters, digits and -"))
	}
	if d.OldCallbackToken.IsZero() != d.OldEncodingAESKey.IsZero() {
		errs = append(errs, d.fail("OLD_CALLBACK_TOKEN and OLD_ENCODING_AES_KEY go together"))
	}
	if len(d.ReplyText) > maxReply {
		errs = append(errs, d.fail(fmt.Sprintf("REPLY_TEXT has %d bytes; the platform takes %d", len(d.ReplyText), maxReply)))
	}
	return errors.Join(errs...)
}

// fail names the door, not the variable's prefix, which it does not know.
func (d Door) fail(why string) error {
	if d.Name == "" {
		return errors.New(why)
	}
	return fmt.Errorf("corp %s: %s", d.Name, why)
}

// receiveIDs are what a ciphertext for this door may be addressed to.
func (d Door) receiveIDs() []string {
	if len(d.ReceiveID) > 0 {
		return d.ReceiveID
	}
	return []string{d.CorpID}
}
