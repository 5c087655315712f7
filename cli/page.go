package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"weft/model/nn"
	"weft/server"
	"weft/text/corpus/world"
	"weft/train"
)

// What the page shows beside the chat: the models, and training runs.

// tinySeed is the world that the embedded models know.
const tinySeed = 1

// cardFile is the model card of a folder, and maxCard the most of it shown.
const (
	cardFile = "README.md"
	maxCard  = 256 << 10
)

// about describes a model for the models page.
func (l *loaded) about() server.About {
	info := l.model.Info()
	a := server.About{Family: info.Family, Parameters: info.Params, Bytes: nn.Bytes(l.model), Vocab: l.tok.VocabSize(), Card: readCard(l.files), Tiny: l.embedded}
	if l.tmpl != nil {
		a.Template = l.tmpl.Name()
	}
	if l.embedded {
		a.Examples = exampleQuestions()
	}
	return a
}

// exampleQuestions are questions that the embedded models learned to answer,
// one of each kind that needs no passage and no tools.
func exampleQuestions() (list []string) {
	const lots, short = 50, 90 // items to choose from; bytes
	w := world.New(tinySeed)
	// Of Train: the examples should work, and held-out ones sometimes do not.
	for _, task := range []world.Task{world.Fact, world.TwoHop, world.Addition, world.WordProblem, world.UnknownPerson, world.Refusal} {
		for item := range w.Items(task, world.Train, lots) {
			q := item.Messages[0].Content
			// One question and its answer, short enough for a button.
			if len(item.Messages) == 2 && len(q) <= short && !strings.Contains(q, "\n") {
				list = append(list, q)
				break
			}
		}
	}
	return list
}

// readCard is the model card of a folder; empty: it has none.
func readCard(files fs.FS) string {
	f, err := files.Open(cardFile)
	if err != nil {
		return ""
	}
	defer f.Close()
	// A card that cannot be read is no reason not to serve.
	text, err := io.ReadAll(io.LimitReader(f, maxCard))
	if err != nil {
		return ""
	}
	return string(text)
}

// pageRuns is train.Runs in the words of the server: the training runs of a
// folder, which the page shows while they go on.
type pageRuns string

// List implements server.Runs.
func (dir pageRuns) List() ([]server.Run, error) {
	found, err := train.Runs{Root: string(dir)}.List()
	if err != nil {
		return nil, err
	}
	var out []server.Run
	for _, r := range found {
		run := server.Run{
			ID: r.ID, Name: r.ID, Kind: r.Kind, State: string(r.State), Step: r.Step, Steps: r.Steps,
			Started: r.Started.UTC(), Updated: r.Updated.UTC(),
		}
		// A run that is damaged is listed with what is wrong, beside those that are not.
		if r.Damage != nil {
			run.Damage = r.Damage.Error()
		}
		out = append(out, run)
	}
	return out, nil
}

// Records implements server.Runs.
func (dir pageRuns) Records(id string, from int64, points int) (server.RunRecords, error) {
	r, err := train.Runs{Root: string(dir)}.Records(id, from, points)
	if errors.Is(err, train.ErrNoRun) {
		return server.RunRecords{}, fmt.Errorf("%w: %s", server.ErrNoRun, id)
	}
	return server.RunRecords{Records: r.Lines, Next: r.Next, More: r.More, State: string(r.State)}, err
}

// openBrowser shows a page in the browser of the desktop.
func openBrowser(url string) error {
	var c *exec.Cmd
	switch runtime.GOOS {
	case "darwin":
		c = exec.Command("open", url)
	case "windows":
		c = exec.Command("rundll32", "url.dll,FileProtocolHandler", url)
	default:
		c = exec.Command("xdg-open", url)
	}
	// Started, not waited for: some browsers stay until their window closes.
	if err := c.Start(); err != nil {
		return err
	}
	go func() { _ = c.Wait() }() // its exit code says little: some wait for the window
	return nil
}

// hasDesktop says whether a browser would have a screen to open on.
func hasDesktop() bool {
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		return os.Getenv("SSH_CONNECTION") == ""
	}
	return os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
}
