package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases; a build from a checkout says devel.
var version = "devel"

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, commit, Go version and platform",
		GroupID: groupCheck,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), build())
			return err
		},
	}
}

// buildInfo says what this binary was made from.
type buildInfo struct{ version, commit, goVersion string }

func (b buildInfo) String() string {
	return fmt.Sprintf("shipperd %s, commit %s, %s, %s/%s", b.version, b.commit, b.goVersion, runtime.GOOS, runtime.GOARCH)
}

func build() buildInfo {
	b := buildInfo{version: version, commit: "unknown", goVersion: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.commit = s.Value[:min(12, len(s.Value))]
		}
	}
	return b
}
