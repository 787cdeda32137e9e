package main

import (
	"encoding/json"
	"errors"
	"net/url"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// bom is a CycloneDX bill of materials, as far as Go's build info fills it.
// https://cyclonedx.org/docs/1.6/json/
type bom struct {
	Format      string `json:"bomFormat"`
	SpecVersion string `json:"specVersion"`
	Version     int    `json:"version"`
	Metadata    struct {
		Component component `json:"component"`
	} `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// bill lists what is linked into a binary. It has no time and no serial number,
// so that one binary has one bill.
func bill(info *debug.BuildInfo, version string) bom {
	b := bom{Format: "CycloneDX", SpecVersion: "1.6", Version: 1}
	b.Metadata.Component = module("application", info.Main.Path, version)
	all := dependency{Ref: b.Metadata.Component.Ref}
	add := func(c component) {
		b.Components = append(b.Components, c)
		all.DependsOn = append(all.DependsOn, c.Ref)
	}
	add(module("library", "stdlib", info.GoVersion))
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		c := module("library", d.Path, d.Version)
		if d.Sum != "" {
			c.Properties = []property{{"go:sum", d.Sum}}
		}
		add(c)
	}
	b.Dependencies = []dependency{all}
	return b
}

func module(kind, path, version string) component {
	purl := "pkg:golang/" + path
	if version != "" {
		purl += "@" + url.PathEscape(version)
	}
	return component{Type: kind, Ref: purl, Name: path, Version: version, PURL: purl}
}

func sbomCommand(s std) *cobra.Command {
	return &cobra.Command{Use: "sbom", Short: "print what this binary is made of, as CycloneDX JSON", Args: none,
		Example: "  kfbus sbom > kfbus.cdx.json",
		RunE: func(*cobra.Command, []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return errors.New("this binary was built without module information")
			}
			version, _ := build()
			enc := json.NewEncoder(s.out)
			enc.SetIndent("", "  ")
			return enc.Encode(bill(info, version))
		}}
}
