package main

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"

	"github.com/halfgrad/halfgrad/internal/files"
)

// configFile is the flag --config: a file that gives flags, by their names, as TOML or
// as a JSON object. Flags on the command line take precedence.
type configFile string

// maxConfig is far more than all flags need.
const maxConfig = 1 << 20

// BeforeResolve reads the file, before kong looks for flags that were not given.
func (configFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configFile))
	values, err := readConfig(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	ctx.AddResolver(&configResolver{path, values, ctx.Selected()})
	return nil
}

// readConfig returns the values in a file, as they would stand on the command line.
func readConfig(path string) (map[string]string, error) {
	f, size, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxConfig {
		return nil, fmt.Errorf("%s has %d bytes: want at most %d", path, size, maxConfig)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber() // seeds have 64 bits
		if err := d.Decode(&values); err != nil {
			return nil, fmt.Errorf("%s: not JSON: %w", path, err)
		}
		if d.More() {
			return nil, fmt.Errorf("%s: not JSON: want one object", path)
		}
	} else if err := toml.Unmarshal(text, &values); err != nil {
		var at *toml.DecodeError
		if errors.As(err, &at) {
			row, _ := at.Position()
			return nil, fmt.Errorf("%s: line %d: %w", path, row, err)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	flags := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch v := values[name].(type) {
		case string:
			flags[name] = v
		case bool, int64, float64, json.Number:
			flags[name] = fmt.Sprint(v)
		default:
			return nil, fmt.Errorf("%s: %s is %v: want text, a number, true or false", path, name, v)
		}
	}
	return flags, nil
}

// configResolver gives kong the values of a file.
type configResolver struct {
	path    string
	values  map[string]string
	command *kong.Node
}

// Validate returns an error that names a key which is no flag.
func (r *configResolver) Validate(*kong.Application) error {
	known := map[string]bool{}
	for _, f := range r.command.Flags {
		known[f.Name] = f.Name != "config"
	}
	for _, name := range slices.Sorted(maps.Keys(r.values)) {
		if !known[name] {
			return fmt.Errorf("--config %s: %s has no flag --%s that a file can give", r.path, r.command.FullPath(), name)
		}
	}
	return nil
}

// Resolve returns the value of a flag that is not on the command line, or nil.
func (r *configResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if v, ok := r.values[flag.Name]; ok && flag.Name != "config" {
		return v, nil
	}
	return nil, nil
}

const (
	// configName is the file in --out that holds the flags of the run.
	configName = "run.toml"
	// configMark begins it, and tells it from a file of the user's.
	configMark = "# Written by halfgrad train."
)

// isConfig reports whether path is a file that writeConfig has written.
func isConfig(path string) bool {
	f, _, err := files.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(configMark))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == configMark
}

// writeConfig writes the flags that repeat the run to a file in --out: all that decide
// its outcome, whether they were given or not. It leaves a file of the user's alone.
func (s *session) writeConfig() error {
	path := filepath.Join(s.Out, configName)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) && !isConfig(path) {
		fmt.Fprintf(s.stdout, "note     %s is not of halfgrad train and stays: the flags of this run are not written\n", path)
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s This repeats the run:\n#   halfgrad train --config %s\n", configMark, path)
	groups := map[string]*strings.Builder{} // the lines of each
	var order []string
	for _, f := range s.flags {
		if f.Group == nil || f.Name == "recipe" {
			continue
		}
		switch f.Group.Key {
		case "The network", "The training", "Testing":
		default:
			if f.Name != "data" && f.Name != "init" {
				continue
			}
		}
		value, err := s.configValue(f)
		if err != nil {
			return err
		}
		if value == "" {
			continue
		}
		line, err := toml.Marshal(map[string]any{f.Name: value})
		if err != nil {
			return err
		}
		key := f.Group.Key
		if groups[key] == nil {
			groups[key] = &strings.Builder{}
			order = append(order, key)
		}
		groups[key].Write(line)
	}
	for _, key := range order {
		fmt.Fprintf(&b, "\n# %s\n%s", key, groups[key])
	}
	return files.WriteFile(path, []byte(b.String()))
}

// configValue returns the value of a flag in this run, "" for none.
func (s *session) configValue(f *kong.Flag) (any, error) {
	switch f.Name {
	case "model", "hidden": // which a run that is continued does not get as flags
		hidden := s.Widths[1 : len(s.Widths)-1]
		if len(hidden) == 0 {
			return map[string]string{"model": s.shape()}[f.Name], nil
		}
		parts := make([]string, len(hidden))
		for i, w := range hidden {
			parts[i] = strconv.Itoa(w)
		}
		return map[string]string{"model": "mlp", "hidden": strings.Join(parts, ",")}[f.Name], nil
	case "data", "init":
		path := f.Target.String()
		if _, err := os.Stat(path); err == nil {
			return filepath.Abs(path)
		}
		return path, nil
	}
	if text, ok := f.Target.Interface().(encoding.TextMarshaler); ok {
		b, err := text.MarshalText()
		return string(b), err
	}
	if v := f.Target; v.Kind() == reflect.Uint64 && v.Uint() > math.MaxInt64 { // which TOML has no number for
		return strconv.FormatUint(v.Uint(), 10), nil
	}
	return f.Target.Interface(), nil
}
