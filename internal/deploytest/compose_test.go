//go:build container

package deploytest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// service is what we ask of each in compose.yaml.
type service struct {
	User        string
	ReadOnly    bool     `json:"read_only"`
	CapDrop     []string `json:"cap_drop"`
	CapAdd      []string `json:"cap_add"`
	Privileged  bool
	SecurityOpt []string    `json:"security_opt"`
	PidsLimit   int         `json:"pids_limit"`
	MemLimit    json.Number `json:"mem_limit"`
	NetworkMode string      `json:"network_mode"`
	Image       string
	Ports       []struct {
		HostIP string `json:"host_ip"`
	}
	Secrets     []struct{ Source, Target string }
	Environment map[string]string
	Volumes     []struct{ Source, Target string }
	Healthcheck struct {
		Disable bool
		Test    []string
	}
	Restart string
}

// wrongs says what a service should not be.
func (s service) wrongs() []string {
	var out []string
	wrong := func(when bool, what string) {
		if when {
			out = append(out, what)
		}
	}
	user, _, _ := strings.Cut(s.User, ":")
	wrong(user == "" || user == "0" || user == "root", "runs as "+s.User)
	wrong(!s.ReadOnly, "can write to its root")
	wrong(!slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged, "has capabilities")
	wrong(!slices.Contains(s.SecurityOpt, "no-new-privileges:true"), "may gain privileges")
	wrong(s.PidsLimit <= 0, "may fork without end")
	wrong(s.MemLimit == "" || s.MemLimit == "0", "may take all memory")
	wrong(s.NetworkMode != "", "has the network "+s.NetworkMode)
	wrong(strings.HasSuffix(s.Image, ":latest") || !strings.Contains(s.Image, ":"), "has no version: "+s.Image)
	for _, p := range s.Ports {
		wrong(p.HostIP != "127.0.0.1", "is open on "+p.HostIP)
	}
	for _, v := range s.Volumes {
		wrong(strings.Contains(v.Source, "docker.sock"), "holds Docker's socket")
	}
	public := []string{"KF_TOKEN_SEAL", "KF_TOKEN_KEEPER", "KF_TOKEN_READERS"} // xkey or plain, and public keys
	for name, value := range s.Environment {
		if slices.Contains(public, name) {
			continue
		}
		secret := strings.Contains(name, "SECRET") || strings.Contains(name, "TOKEN") || strings.Contains(name, "AES_KEY")
		wrong(secret && !strings.HasSuffix(name, "_FILE") && value != "", "has the secret "+name+" in its environment")
	}
	return out
}

// holds are the secrets that each gets, and no other does.
var holds = map[string]string{
	"n1": "", "n2": "", "n3": "", "topology": "topology", "ingress": "callback_token encoding_aes_key ingress", "syncer": "syncer xkey_syncer",
	"sender": "sender xkey_sender", "tokenkeeper": "corpsecret tokenkeeper xkey_tokenkeeper", "sim": "callback_token corpsecret encoding_aes_key",
	"operator": "operator", "team": "team-demo", "prometheus": "", "grafana": "",
}

func TestCompose(t *testing.T) {
	var got struct{ Services map[string]service }
	out, err := command(t.Context(), "../..", []string{"KF_CORP_ID=ww1", "KF_XKEY_TOKENKEEPER=X1", "KF_XKEY_SYNCER=X2", "KF_XKEY_SENDER=X3"}, "docker", "compose", "--profile", "*", "config", "--format", "json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Services) != len(holds) {
		t.Errorf("%d services, want %d", len(got.Services), len(holds))
	}
	for name, s := range got.Services {
		for _, w := range s.wrongs() {
			t.Errorf("%s %s", name, w)
		}
		var secrets []string
		for _, x := range s.Secrets {
			secrets = append(secrets, x.Source)
		}
		slices.Sort(secrets)
		if want := holds[name]; strings.Join(secrets, " ") != want {
			t.Errorf("%s holds %v, want %q", name, secrets, want)
		}
	}
}

// TestWrongs breaks each rule on purpose.
func TestWrongs(t *testing.T) {
	good := `{"user":"65532:65532","read_only":true,"cap_drop":["ALL"],"security_opt":["no-new-privileges:true"],"pids_limit":9,"mem_limit":"9","image":"a:1"%s}`
	for _, c := range []struct {
		more string
		want int
	}{
		{``, 0}, {`,"ports":[{"host_ip":"127.0.0.1"}]`, 0}, {`,"environment":{"KF_TOKENKEEPER_SECRET_FILE":"/x"}`, 0},
		{`,"user":"0"`, 1}, {`,"user":""`, 1}, {`,"read_only":false`, 1}, {`,"cap_drop":[]`, 1}, {`,"cap_add":["NET_ADMIN"]`, 1}, {`,"privileged":true`, 1},
		{`,"security_opt":[]`, 1}, {`,"pids_limit":0`, 1}, {`,"mem_limit":"0"`, 1}, {`,"network_mode":"host"`, 1}, {`,"image":"a"`, 1}, {`,"image":"a:latest"`, 1},
		{`,"ports":[{"host_ip":"0.0.0.0"}]`, 1}, {`,"ports":[{}]`, 1}, {`,"volumes":[{"source":"/var/run/docker.sock"}]`, 1},
		{`,"environment":{"KF_TOKENKEEPER_SECRET":"x"}`, 1}, {`,"environment":{"KF_TOKEN_OPEN_KEY":"x"}`, 1},
		{`,"environment":{"KF_TOKEN_SEAL":"xkey"}`, 0},
	} {
		var s service
		if err := json.Unmarshal(fmt.Appendf(nil, good, c.more), &s); err != nil {
			t.Fatal(err)
		}
		if got := s.wrongs(); len(got) != c.want {
			t.Errorf("%s: got %v, want %d", c.more, got, c.want)
		}
	}
}
