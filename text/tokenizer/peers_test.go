package tokenizer_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/internal/testkit"
)

// BenchmarkPeers measures encoding beside tiktoken and the tokenizers library,
// turn by turn in one run on one core each: megabytes per second, and how many
// times as fast as each of the two the median turn is. WEFT_PYTHON names a
// Python that has both. All turns have the same text, but neither weft nor
// tiktoken keeps anything of a text for the next one; the words that the
// tokenizers library keeps are left to it.
//
//	WEFT_PYTHON=python3 go test ./text/tokenizer -run '^$' -bench Peers -benchtime 5x -cpu 1
func BenchmarkPeers(b *testing.B) {
	python := os.Getenv("WEFT_PYTHON")
	if python == "" {
		b.Skip("WEFT_PYTHON names no Python with tiktoken and tokenizers")
	}
	ref := readReference(b)
	texts := map[string]string{"wikitext": readText(b, testkit.Data(b, "text/wikitext2_valid.txt")), "udhr": mixedText(b)}
	for _, name := range []string{"cl100k_base", "llama3"} {
		tok := open(b, name)
		folder := b.TempDir()
		if err := tok.Save(filepath.Join(folder, "tokenizer.json")); err != nil {
			b.Fatal(err)
		}
		for _, set := range slices.Sorted(maps.Keys(texts)) {
			b.Run(name+"/"+set, func(b *testing.B) {
				text := texts[set]
				p := startPeers(b, python, map[string]any{"text": text, "json": filepath.Join(folder, "tokenizer.json"),
					"ranks": testkit.Data(b, "tokenizers/"+ranksOf(name)), "pattern": ref.Tokenizers[name].Pattern})
				var ours, tiktoken, hf []float64
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					start := time.Now()
					ids := len(tok.Encode(text))
					ours = append(ours, time.Since(start).Seconds())
					b.StopTimer()
					peer := p.turn(b)
					if peer.IDs != ids || peer.HFIDs != ids {
						b.Fatalf("%d ids here, %d by tiktoken, %d by tokenizers", ids, peer.IDs, peer.HFIDs)
					}
					tiktoken, hf = append(tiktoken, peer.Tiktoken), append(hf, peer.HF)
					b.StartTimer()
				}
				b.ReportMetric(median(tiktoken)/median(ours), "x-tiktoken")
				b.ReportMetric(median(hf)/median(ours), "x-tokenizers")
				b.ReportMetric(float64(len(text))/1e6/median(ours), "MB/s-median")
			})
		}
	}
}

func ranksOf(name string) string {
	if name == "llama3" {
		return "llama3/tokenizer.model"
	}
	return "tiktoken/" + name + ".tiktoken"
}

// mixedText is the beginning of the declaration of human rights in all languages.
func mixedText(b *testing.B) string {
	sets := map[string][]string{}
	readUDHR(b, sets)
	var mixed strings.Builder
	for _, set := range slices.Sorted(maps.Keys(sets)) {
		for _, text := range sets[set] {
			mixed.WriteString(strings.ToValidUTF8(text[:min(len(text), 2000)], "") + "\n")
		}
	}
	return mixed.String()
}

// peers is a Python process that encodes when asked to.
type peers struct {
	ask    *json.Encoder
	answer *bufio.Scanner
}

// seconds is one turn of the peers.
type seconds struct {
	Tiktoken, HF float64
	IDs, HFIDs   int
}

func startPeers(b *testing.B, python string, setting map[string]any) *peers {
	cmd := exec.Command(python, "../../testdata/tokenizers/speed.py")
	cmd.Env = append(os.Environ(), "TOKENIZERS_PARALLELISM=false", "RAYON_NUM_THREADS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); cmd.Wait() })
	p := &peers{json.NewEncoder(in), bufio.NewScanner(out)}
	if err := p.ask.Encode(setting); err != nil {
		b.Fatal(err)
	}
	return p
}

// turn has both peers encode the text once.
func (p *peers) turn(b *testing.B) (s seconds) {
	if err := p.ask.Encode("again"); err != nil || !p.answer.Scan() {
		b.Fatalf("the peers said nothing: %v, %v", err, p.answer.Err())
	}
	if err := json.Unmarshal(p.answer.Bytes(), &s); err != nil {
		b.Fatal(err)
	}
	return s
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}
