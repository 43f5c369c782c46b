package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for releases; a build from a checkout says devel.
var version = "devel"

// commit is set by the linker where the build sees no repository, as in the image's.
var commit = "unknown" //nolint:gochecknoglobals // only a variable can be set

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
	b := buildInfo{version: version, commit: commit, goVersion: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				b.commit = s.Value
			}
		}
	}
	b.commit = b.commit[:min(12, len(b.commit))]
	return b
}
