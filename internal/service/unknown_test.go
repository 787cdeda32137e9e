package service

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestUnknownVariables(t *testing.T) {
	known := []string{"KF_CORP_ID", "KF_SENDER_POST_TIMEOUT", "KF_TOKENKEEPER_SECRET", "KF_TOKENKEEPER_SECRET_FILE", "KF_LOG_LEVEL"}
	for _, c := range []struct{ name, variable, meant string }{
		{"known", "KF_CORP_ID", ""},
		{"another's", "PATH", ""},
		{"a prefix like ours", "KFTEST_X", ""},
		{"a letter short", "KF_SENDR_POST_TIMEOUT", "KF_SENDER_POST_TIMEOUT"},
		{"a letter wrong, and the file's is as near as none", "KF_TOKENKEPER_SECRET_FILE", "KF_TOKENKEEPER_SECRET_FILE"},
		{"letters swapped", "KF_LGO_LEVEL", "KF_LOG_LEVEL"},
		{"the plural", "KF_CORPS_ID", "KF_CORP_ID"},
		{"nothing like it", "KF_WEATHER_TOMORROW", "-"},
		{"Kubernetes' host of a service kf-sender", "KF_SENDER_SERVICE_HOST", ""},
		{"its port by name", "KF_SENDER_SERVICE_PORT_HTTP", ""},
		{"its port", "KF_SENDER_PORT", ""},
		{"its address", "KF_SENDER_PORT_9090_TCP_ADDR", ""},
	} {
		got := UnknownVariables("KF", []string{c.variable + "=c4n4ry", "HOME=/"}, known)
		var want []Unknown
		if c.meant != "" {
			want = []Unknown{{c.variable, strings.TrimPrefix(c.meant, "-")}}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
	}
	var log bytes.Buffer
	WarnUnknown(zerolog.New(&log), UnknownVariables("KF", []string{"KF_B=c4n4ry", "KF_CORPID=c4n4ry"}, known))
	want := `{"level":"warn","variable":"KF_B","message":"nothing reads this variable"}
{"level":"warn","variable":"KF_CORPID","did_you_mean":"KF_CORP_ID","message":"nothing reads this variable"}
`
	if log.String() != want {
		t.Errorf("got %s, want %s", log.String(), want)
	}
}
