package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	manifestName = regexp.MustCompile(`(?m)^(?:metadata: \{name: |  name: )([a-z-]+)`)
	manifestKey  = regexp.MustCompile(`(?m)^  ([a-z_.]+): `)
)

// manifestKeys lists NAME/KEY of the Secrets and ConfigMaps in a text.
func manifestKeys(text string) map[string]bool {
	out := map[string]bool{}
	for doc := range strings.SplitSeq(text, "\n---\n") {
		name := manifestName.FindStringSubmatch(doc)
		if name == nil || strings.Contains(doc, "kind: Namespace") {
			continue
		}
		for _, key := range manifestKey.FindAllStringSubmatch(doc, -1) {
			if key[1] != "name" && key[1] != "namespace" {
				out[name[1]+"/"+key[1]] = true
			}
		}
	}
	return out
}

// TestManifestSecrets: deploy/k8s/secrets.sh makes what its example says, which the pods mount, and makes nothing anew the second time.
func TestManifestSecrets(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		if os.Getenv("KF_REQUIRE_KUBECTL") == "1" {
			t.Fatalf("%v (KF_REQUIRE_KUBECTL=1)", err)
		}
		t.Skipf("no secrets are made: %v", err)
	}
	example, err := os.ReadFile("../../deploy/k8s/secrets.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := manifestKeys(string(example))
	maps.DeleteFunc(want, func(k string, _ bool) bool { return strings.HasPrefix(k, "nats-tls/") })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "kfbus")
	if err := os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\nKFBUS_TEST_ARGS=\"$*\" exec %s\n", self), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	for _, overlay := range []string{"local", "production"} {
		run := filepath.Join(dir, overlay)
		secrets := func() (string, error) {
			c := exec.CommandContext(t.Context(), "bash", "../../deploy/k8s/secrets.sh", overlay)
			c.Env = append(os.Environ(), "KFBUS="+program, "KF_RUN="+run)
			out, err := c.Output()
			return string(out), err
		}
		if overlay == "production" {
			if _, err := secrets(); err == nil {
				t.Error("production: a corpsecret was made up")
			}
			if err := os.WriteFile(filepath.Join(run, "corpsecret"), []byte("s"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		first, err := secrets()
		if err != nil {
			t.Fatalf("%s: %v", overlay, err)
		}
		if got := manifestKeys(first); !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", overlay, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
		if second, err := secrets(); err != nil || second != first {
			t.Errorf("%s: the second time gave others, or %v", overlay, err)
		}
	}
}
