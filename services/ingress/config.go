package ingress

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/kfbus/kfbus/internal/service"
)

// Config is the ingress's own part of the environment. Its zero value is not
// usable; envconfig fills in the defaults.
type Config struct {
	Addr              string         `default:"127.0.0.1:8080" unit:"host:port" desc:"where WeChat's callbacks arrive; in a container :8080, behind TLS"`
	CallbackToken     service.Secret `split_words:"true" required:"true" desc:"Token of the callback settings in the admin console"`
	EncodingAESKey    service.Secret `split_words:"true" required:"true" desc:"EncodingAESKey of the callback settings"`
	OldCallbackToken  service.Secret `split_words:"true" desc:"the Token before, while it is being changed"`
	OldEncodingAESKey service.Secret `split_words:"true" desc:"the EncodingAESKey before, while it is being changed"`
	VerifyURL         bool           `split_words:"true" default:"true" desc:"answer the console's check of the URL (GET); false once it is saved"`
	PublishTimeout    time.Duration  `split_words:"true" default:"3500ms" desc:"longest wait for the broker before the answer is 503; WeChat hangs up after 5 s"`
	CommandWords      []string       `split_words:"true" default:"帮助,help,开始,start,状态,status" desc:"texts to an app that count as commands in kfclass, besides a leading /"`
}

// platformPatience is how long WeChat waits for an answer.
const platformPatience = 5 * time.Second

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
	if c.OldCallbackToken.IsZero() != c.OldEncodingAESKey.IsZero() {
		errs = append(errs, errors.New("KF_INGRESS_OLD_CALLBACK_TOKEN and KF_INGRESS_OLD_ENCODING_AES_KEY go together"))
	}
	return errors.Join(errs...)
}
