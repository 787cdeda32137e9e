package service

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
)

// forget overwrites the values of these variables in the environment that the process was started with. Unsetenv does not
// reach it: it lies above the stack, the kernel shows it in /proc/PID/environ for as long as the process lives, and every
// process of the same user may read it there. What the one who started us keeps, docker inspect or a manifest, stays.
func forget(names []string) error {
	start, end, err := environBlock()
	if err != nil {
		return err
	}
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	block := make([]byte, end-start)
	if _, err := mem.ReadAt(block, start); err != nil {
		return err
	}
	for at := 0; at < len(block); {
		entry, _, _ := bytes.Cut(block[at:], []byte{0})
		name, value, _ := bytes.Cut(entry, []byte{'='})
		if len(value) > 0 && slices.Contains(names, string(name)) {
			if _, err := mem.WriteAt(make([]byte, len(value)), start+int64(at+len(name)+1)); err != nil {
				return err
			}
		}
		at += len(entry) + 1
	}
	return nil
}

// environBlock is where the first environment lies: fields 50 and 51 of /proc/self/stat.
func environBlock() (start, end int64, err error) {
	const first, last = 50, 51
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the third on: the second may hold anything
	if len(fields) <= last-3 {
		return 0, 0, errors.New("/proc/self/stat has too few fields")
	}
	start, err = strconv.ParseInt(fields[first-3], 10, 64)
	if err == nil {
		end, err = strconv.ParseInt(fields[last-3], 10, 64)
	}
	if err == nil && (start <= 0 || end < start || end-start > 8<<20) {
		err = errors.New("/proc/self/stat does not tell where the environment is")
	}
	return start, end, err
}
