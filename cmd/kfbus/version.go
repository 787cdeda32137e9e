package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set by the build of a release: -ldflags "-X main.release=v1.2.3".
var release = ""

// build returns the version and the source revision of this binary.
func build() (version, revision string) {
	version = release
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, ""
	}
	if version == "" {
		version = info.Main.Version
	}
	if version == "" || version == "(devel)" {
		version = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return version, revision
}

func versionCommand(s std) *cobra.Command {
	var o output
	c := &cobra.Command{Use: "version", Short: "print the version", Args: none, Example: "  kfbus version -o json",
		RunE: func(*cobra.Command, []string) error {
			v, rev := build()
			return o.print(s.out, map[string]string{"version": v, "revision": rev, "go": runtime.Version()},
				fmt.Sprintf("kfbus %s %s %s", v, rev, runtime.Version()))
		}}
	o.flag(c)
	return c
}
