package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/pkg/events"
)

func mediaCommand(s std) *cobra.Command {
	c := &cobra.Command{Use: "media", Short: "fetch and upload files through a sender",
		Long: "media get and put make the calls media.get and media.upload, and carry the file to and from the object store " + events.BucketMedia + "."}
	c.AddCommand(mediaGet(s), mediaPut(s))
	return c
}

func mediaGet(s std) *cobra.Command {
	var f requesting
	var out string
	c := &cobra.Command{Use: "get MEDIA_ID", Short: "fetch a file that a customer sent", Args: exactly(1, "MEDIA_ID"),
		Example: "  kfbus media get 3Sim… -o photo.jpg",
		RunE: func(c *cobra.Command, args []string) error {
			reply, err := f.ask(c.Context(), s, "media.get", jsonOf(map[string]string{"media_id": args[0]}))
			if err != nil {
				return err
			}
			if out == "" {
				return printJSON(s.out, reply, false)
			}
			var at struct{ Bucket, Object string }
			if err := json.Unmarshal(reply, &at); err != nil {
				return fmt.Errorf("media.get answers something else than where the file is: %w", err)
			}
			return f.fetch(c.Context(), s, at.Bucket, at.Object, out)
		}}
	f.flags(c)
	c.Flags().StringVarP(&out, "output", "o", "", "write the file here, - for standard output (default: only say where it is)")
	return c
}

// fetch writes an object to a file, which must be new.
func (f *requesting) fetch(ctx context.Context, s std, bucket, object, to string) error {
	b, err := f.dial(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	_, r, err := b.OpenObject(ctx, bucket, object)
	if err != nil {
		return err
	}
	if to == "-" {
		_, err = io.Copy(s.out, r)
		return err
	}
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return usage(err)
	}
	_, err = io.Copy(file, r)
	return errors.Join(err, file.Close())
}

func mediaPut(s std) *cobra.Command {
	var f requesting
	var kind, name string
	c := &cobra.Command{Use: "put FILE", Short: "upload a file, and print the media_id for a send", Args: exactly(1, "FILE"),
		Example: "  kfbus media put --type image photo.jpg",
		RunE: func(c *cobra.Command, args []string) error {
			if name == "" {
				name = filepath.Base(args[0])
			}
			object := "put-" + nuid.Next()
			if err := f.store(c.Context(), object, args[0]); err != nil {
				return err
			}
			reply, err := f.ask(c.Context(), s, "media.upload", jsonOf(map[string]string{"type": kind, "filename": name, "object": object}))
			if err != nil {
				return err
			}
			return printJSON(s.out, reply, false)
		}}
	f.flags(c)
	c.Flags().StringVar(&kind, "type", "file", "image, voice, video or file")
	c.Flags().StringVar(&name, "name", "", "what the customer sees (default: the name of FILE)")
	return c
}

// store puts a file into the object store, where it stays as long as any.
func (f *requesting) store(ctx context.Context, object, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return usage(err)
	}
	defer file.Close()
	b, err := f.dial(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = b.StoreObject(ctx, events.BucketMedia, object, nil, file)
	return err
}
