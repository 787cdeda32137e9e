package natsconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nkeys"
)

// SeedFile is where an identity's seed is in a folder of seeds.
func SeedFile(dir, identity string) string { return filepath.Join(dir, identity+".nk") }

// Seeds returns the public key of each identity from its seed in dir, and makes those
// that are not there yet, readable by their owner alone. A seed that is there is never changed: to give an identity another
// key, delete its file. made names the new ones.
func Seeds(dir string, identities []string) (public map[string]string, made []string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	public = map[string]string{}
	for _, id := range identities {
		file := SeedFile(dir, id)
		key, err := publicKey(file)
		if errors.Is(err, fs.ErrNotExist) {
			key, err = makeSeed(file)
			made = append(made, id)
		}
		if err != nil {
			return nil, made, fmt.Errorf("seed of %s: %w", id, err)
		}
		public[id] = key
	}
	return public, made, nil
}

func publicKey(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	pair, err := nkeys.ParseDecoratedUserNKey(text)
	if err != nil {
		return "", fmt.Errorf("%s holds no seed of a user; delete it to make a new one: %w", file, err)
	}
	defer pair.Wipe()
	return pair.PublicKey()
}

func makeSeed(file string) (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	if err != nil {
		return "", err
	}
	if err := writeNew(file, append(seed, '\n')); err != nil {
		return "", err
	}
	return pair.PublicKey()
}

// writeNew writes a file that must not be there yet.
func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}
