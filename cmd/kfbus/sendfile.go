package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/pkg/events"
)

// attached is a file that a send carries: one of this machine, or one that the bus has.
type attached struct{ path, object, bucket string }

func (a *attached) flags(c *cobra.Command) {
	c.Flags().StringVar(&a.path, "file", "", "file to send, with --type image, voice, video or file; instead of TEXT")
	c.Flags().StringVar(&a.object, "object", "", "the same, of a file in an object store, by its name there")
	c.Flags().StringVar(&a.bucket, "bucket", "", "object store of --object (default: "+events.BucketMedia+")")
}

// into makes the body of a message from the flags; without them it does nothing.
func (a *attached) into(m *message) error {
	if a.path == "" && a.object == "" {
		if a.bucket != "" {
			return usage(errors.New("--bucket is of no use without --object"))
		}
		return nil
	}
	switch {
	case a.path != "" && a.object != "", m.body != "":
		return usage(errors.New("give one of --file, --object and --body"))
	case !slices.Contains(events.MediaTypes(), m.msgType):
		return usage(fmt.Errorf("a file is sent with --type %v", events.MediaTypes()))
	}
	body := map[string]any{"object": a.object, "bucket": a.bucket}
	if a.bucket == "" {
		delete(body, "bucket")
	}
	if a.path != "" {
		info, err := os.Stat(a.path)
		if err == nil && info.Size() > events.MaxCommandFile {
			return usage(fmt.Errorf("%s has %d bytes, a command takes %d: put it into an object store (nats object put %s …) and give --object",
				filepath.Base(a.path), info.Size(), events.MaxCommandFile, events.BucketMedia))
		}
		data, err := os.ReadFile(a.path)
		if err != nil {
			return usage(fmt.Errorf("--file: %w", err))
		}
		body = map[string]any{"data": data, "filename": filepath.Base(a.path)}
	}
	m.body = string(jsonOf(body))
	return nil
}
