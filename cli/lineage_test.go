package cli

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weft/train"
	"weft/train/pretrain"
	"weft/train/tune"
)

// TestCommandNamesEverySetting: each setting that a run records is a flag of
// the command that a model card shows, or is known to have none.
func TestCommandNamesEverySetting(t *testing.T) {
	none := []string{"data", "lr_decay", "beta1", "eps", "no_decay"}
	e := &env{}
	for _, c := range []struct {
		kind     string
		settings any
		has      func(flag string) bool
	}{
		{"pretrain", pretrain.Settings{}, func(flag string) bool { return e.trainCmd().Flags().Lookup(flag) != nil }},
		{"sft", tune.Settings{}, func(flag string) bool { return e.sftCmd().Flags().Lookup(flag) != nil }},
	} {
		for f := range reflect.TypeOf(c.settings).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			i := slices.IndexFunc(settingFlags(), func(s settingFlag) bool { return s.setting == name })
			if slices.Contains(none, name) {
				continue
			}
			if i < 0 || !c.has(settingFlags()[i].flag) {
				t.Errorf("%s: the setting %s has no flag of the command", c.kind, name)
			}
		}
	}
}

func TestCommand(t *testing.T) {
	for want, c := range map[string]struct {
		kind     string
		settings any
	}{
		"weft train world.txt --vocab 300 --pattern gpt2 --depth 2 --steps 7 --lr 0.001 --weight-decay 0 --eval-tokens -1 --seed 18446744073709551615": {"pretrain",
			pretrain.Settings{Data: "/far/away/world.txt", Vocab: 300, Pattern: "gpt2", Depth: 2, Steps: 7, LR: 1e-3, Weight: -1, EvalTokens: -1, Seed: 1<<64 - 1}},
		"weft train DATA --tokenizer TOKENIZER --untied --budget 60s":            {"pretrain", pretrain.Settings{Vocab: 300, Template: "weft", Untied: true, Budget: 60}},
		"weft tune sft --base BASE --data chats.jsonl --template weft --steps 9": {"sft", tune.Settings{Data: "chats.jsonl", Template: "weft", Epochs: 3, Steps: 9}},
	} {
		settings, err := json.Marshal(c.settings)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := command(&train.State{Kind: c.kind, Settings: settings}); got != want || err != nil {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
}
