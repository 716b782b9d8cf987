package main

import (
	"embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/halfgrad/halfgrad/kernels"
)

// The scripts know nothing of halfgrad's flags. They ask the program itself, which
// finds the answers in the declaration of the commands.
//
//go:embed completion
var completionScripts embed.FS

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is what --help tells besides the flags.
func (*completionCmd) Help() string {
	return `Prints a script that teaches the shell halfgrad's commands, flags and their values.
Where it goes:

  ~/.bashrc                    source <(halfgrad completion bash)
  ~/.zshrc, after compinit     source <(halfgrad completion zsh)
  ~/.config/fish/config.fish   halfgrad completion fish | source`
}

func (c *completionCmd) Run(e *env) error {
	script, err := completionScripts.ReadFile("completion/halfgrad." + c.Shell)
	if err != nil {
		return err
	}
	_, err = e.stdout.Write(script)
	return err
}

// completeCommand is what the scripts call, with the name of the shell and the words
// up to the cursor, the last of them unfinished.
const completeCommand = "__complete"

// candidate is a word that can stand at the cursor.
type candidate struct{ word, help string }

// completeFiles stands for the names of files, which the shell completes by itself.
var completeFiles = []candidate{{word: ":file"}}

// complete answers a script: a candidate a line, with a tab before its description.
func complete(w io.Writer, app *kong.Application, args []string) {
	if len(args) < 2 {
		return
	}
	for _, c := range candidates(app, args[0] == "bash", args[1:]) {
		fmt.Fprintf(w, "%s\t%s\n", c.word, c.help)
	}
}

// candidates returns the words that can stand in place of the last one of words. bash
// makes three words of --flag=value, and expects the last of them.
func candidates(app *kong.Application, bash bool, words []string) (found []candidate) {
	words, current := words[:len(words)-1], words[len(words)-1]
	if bash {
		words = slices.DeleteFunc(slices.Clone(words), func(word string) bool { return word == "=" })
		if current == "=" {
			current = ""
		}
	}
	node, known := app.Node, map[string]*kong.Flag{}
	learn := func() {
		for _, n := range []*kong.Node{node, node.DefaultCmd} {
			if n == nil {
				continue
			}
			for _, f := range n.Flags {
				known[f.Name] = f
				if f.Tag.Negatable != "" {
					known["no-"+f.Name] = f
				}
			}
		}
	}
	learn()
	given := map[string]bool{}
	var pending *kong.Flag // waits for its value
	for _, word := range words {
		name, isFlag := strings.CutPrefix(word, "--")
		name, _, hasValue := strings.Cut(name, "=")
		switch {
		case pending != nil:
			pending = nil
		case isFlag:
			given[name] = true
			if f := known[name]; f != nil && !hasValue && !f.IsBool() {
				pending = f
			}
		default:
			if i := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == word }); i >= 0 {
				node = node.Children[i]
				learn()
			}
		}
	}
	if pending != nil {
		return startingWith(current, values(pending.Value, pending.PlaceHolder))
	}
	if name, value, ok := strings.Cut(current, "="); ok && strings.HasPrefix(name, "--") {
		f := known[name[2:]]
		if f == nil {
			return nil
		}
		for _, c := range startingWith(value, values(f.Value, f.PlaceHolder)) {
			if c != completeFiles[0] {
				c.word = name + "=" + c.word
			}
			found = append(found, c)
		}
		return found
	}
	if strings.HasPrefix(current, "-") {
		for _, name := range slices.Sorted(maps.Keys(known)) {
			if f := known[name]; !f.Hidden && !given[name] {
				found = append(found, candidate{"--" + name, sentence(f.Help)})
			}
		}
		return startingWith(current, found)
	}
	for _, n := range node.Children {
		if !n.Hidden {
			found = append(found, candidate{n.Name, sentence(n.Help)})
		}
	}
	for _, p := range node.Positional {
		found = append(found, values(p, "FILE")...)
	}
	return startingWith(current, found)
}

func startingWith(prefix string, all []candidate) []candidate {
	return slices.DeleteFunc(slices.Clone(all), func(c candidate) bool {
		return c != completeFiles[0] && !strings.HasPrefix(c.word, prefix)
	})
}

// sentence returns the first sentence of a help text, shortened to fit beside a word.
func sentence(help string) string {
	first, _, _ := strings.Cut(help, ". ")
	const most = 56
	if runes := []rune(first); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return strings.TrimSuffix(first, ".")
}

// values returns what a flag or an argument can be, so far as that is known.
func values(v *kong.Value, placeholder string) []candidate {
	var words []string
	switch {
	case v.Enum != "":
		words = strings.Split(v.Enum, ",")
	case v.Name == "kernel":
		words = append([]string{kernels.Auto}, kernels.Supported()...)
	case v.Name == "optimizer":
		words = optimizers
	case v.Name == "schedule":
		words = schedules
	case v.Name == "recipe":
		words = slices.Sorted(maps.Keys(recipes))
	case v.Name == "loss-scale":
		words = []string{"dynamic", "off"}
	case v.Name == "resume":
		words = []string{string(resumeAuto)}
	case strings.Contains(placeholder, "|"):
		words = strings.Split(placeholder, "|")
	case strings.Contains(placeholder, "FILE") || strings.Contains(placeholder, "DIR"):
		return completeFiles
	}
	var found []candidate
	for _, word := range words {
		found = append(found, candidate{word: word})
	}
	return found
}
