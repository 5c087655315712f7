package server

import (
	"bufio"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// loadedServer has an engine with figures, a full model, and one that is not
// loaded.
func loadedServer(t *testing.T) *Server {
	stats := func() Stats {
		return Stats{Running: 2, Waiting: 3, PagesFree: 5, PagesUsed: 2, PagesCached: 1, PagesTotal: 8, Preemptions: 1, PrefixQueries: 90, PrefixHits: 64,
			Drafts: 5, Drafted: 20, Accepted: 12, DraftFailures: 2, PrefixLoaded: 7, PageLen: 16, PageBytes: 4096, CacheType: "f16", PrefixCache: true, LoRABytes: 300,
			Batch: Histogram{Bounds: []float64{1, 8}, Counts: []uint64{4, 2, 1}, Sum: 40}, LoRA: &LoRA{Max: 4, Running: []string{"a", "b"}}}
	}
	busy := &fakeModel{busy: true}
	return testServer(t, &fakeModel{words: words("a b c")}, func(o *Options) {
		o.Models[0].Stats = stats
		o.Models[0].Status = func() Status { return Status{State: "loaded", Bytes: 100, Loads: 3, Unloads: 2} }
		o.Models = append(o.Models, Model{ID: "full", Model: busy}, Model{
			ID: "away", Model: busy, Stats: func() Stats { return Stats{PrefixHits: 11} }, Status: func() Status { return Status{State: "unloaded", Bytes: 50, Failures: 1} },
		})
	})
}

// scrape asks for the metrics after a few requests.
func scrape(t *testing.T) string {
	s := loadedServer(t)
	call(s, "POST", "/v1/chat/completions", helloStream)
	call(s, "POST", "/v1/completions", `{"prompt":["x","yy"],"n":2,"max_tokens":2}`)
	call(s, "POST", "/v1/chat/completions", `{"model":"full","messages":[{"role":"user","content":"hi"}]}`)
	call(s, "GET", "/some/scanner", "")
	return call(s, "GET", "/metrics", "").Body.String()
}

func TestMetrics(t *testing.T) {
	got := scrape(t)
	const tiny = `{engine="0",model_name="tiny"}`
	for _, want := range []string{
		`weft_http_requests_total{route="/v1/chat/completions",status="200"} 1`,
		`weft_http_requests_total{route="/v1/chat/completions",status="429"} 1`,
		`weft_http_requests_total{route="other",status="404"} 1`,
		`weft_request_success_total{finished_reason="stop",model_name="tiny"} 1`,
		`vllm:request_success_total{engine="0",finished_reason="length",model_name="tiny"} 4`,
		`weft_requests_rejected_total{model_name="full"} 1`,
		`weft_requests_rejected_total{model_name="tiny"} 0`,
		`weft_prompt_tokens_total{model_name="tiny"} 5`,
		`vllm:prompt_tokens_total` + tiny + ` 5`,
		`weft_generation_tokens_total{model_name="tiny"} 11`,
		`vllm:generation_tokens_total` + tiny + ` 11`,
		`weft_time_to_first_token_seconds_count{model_name="tiny"} 5`,
		`weft_inter_token_latency_seconds_count{model_name="tiny"} 6`,
		`vllm:time_to_first_token_seconds_count` + tiny + ` 5`,
		`vllm:inter_token_latency_seconds_count` + tiny + ` 6`,
		`vllm:time_per_output_token_seconds_count` + tiny + ` 6`,
		`weft_requests_running{model_name="tiny"} 2`,
		`weft_requests_waiting{model_name="tiny"} 3`,
		`weft_kv_pages_free{model_name="tiny"} 5`,
		`weft_kv_pages_used{model_name="tiny"} 2`,
		`weft_kv_pages_cached{model_name="tiny"} 1`,
		`weft_kv_pages_total{model_name="tiny"} 8`,
		`weft_kv_page_bytes{model_name="tiny"} 4096`,
		`weft_lora_memory_bytes{model_name="tiny"} 300`,
		`weft_preemptions_total{model_name="tiny"} 1`,
		`vllm:prefix_cache_queries_total` + tiny + ` 90`,
		`vllm:prefix_cache_hits_total` + tiny + ` 64`,
		`weft_prefix_cache_loaded_pages_total{model_name="tiny"} 7`,
		`vllm:spec_decode_num_draft_tokens_total` + tiny + ` 20`,
		`vllm:spec_decode_num_accepted_tokens_total` + tiny + ` 12`,
		`weft_spec_decode_draft_failures_total{model_name="tiny"} 2`,
		`vllm:kv_cache_usage_perc` + tiny + ` 0.25`,
		`vllm:gpu_cache_usage_perc` + tiny + ` 0.25`,
		`vllm:num_requests_running` + tiny + ` 2`,
		`vllm:request_params_n_sum` + tiny + ` 3`, // 1 and 2
		`vllm:request_params_n_count` + tiny + ` 2`,
		`vllm:request_params_max_tokens_sum` + tiny + ` 2`, // the first set none
		`vllm:request_params_max_tokens_count` + tiny + ` 1`,
		`vllm:request_max_num_generation_tokens_sum` + tiny + ` 5`, // 3 and 2
		`vllm:request_prompt_tokens_count` + tiny + ` 5`,
		`vllm:request_generation_tokens_sum` + tiny + ` 11`,
		`vllm:request_queue_time_seconds_sum` + tiny + ` 10`,
		`vllm:request_prefill_time_seconds_sum` + tiny + ` 15`,
		`vllm:request_decode_time_seconds_sum` + tiny + ` 20`,
		`vllm:request_inference_time_seconds_sum` + tiny + ` 35`,
		`vllm:request_time_per_output_token_seconds_sum` + tiny + ` 18`, // 4/2 + 4 * 4/1
		`vllm:e2e_request_latency_seconds_count` + tiny + ` 5`,
		`vllm:iteration_tokens_total_bucket{engine="0",model_name="tiny",le="8"} 6`,
		`vllm:iteration_tokens_total_count` + tiny + ` 7`,
		`vllm:cache_config_info{block_size="16",cache_dtype="f16",enable_prefix_caching="true",engine="0",model_name="tiny",num_gpu_blocks="8"} 1`,
		`weft_model_loaded{model_name="tiny"} 1`,
		`weft_model_loaded{model_name="away"} 0`,
		`weft_model_memory_bytes{model_name="tiny"} 100`,
		`weft_model_memory_bytes{model_name="away"} 0`,
		`weft_model_loads_total{model_name="tiny"} 3`,
		`weft_model_unloads_total{model_name="tiny"} 2`,
		`weft_model_load_failures_total{model_name="away"} 1`,
		`vllm:prefix_cache_hits_total{engine="0",model_name="away"} 11`,
		`go_goroutines`,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, never := range []string{`weft_requests_running{model_name="full"}`, `vllm:cache_config_info{block_size="0"`} {
		if strings.Contains(got, never) {
			t.Errorf("metrics have %s of a model without an engine", never)
		}
	}
}

// family is the metrics of one name in an exposition.
type family struct {
	kind    string
	samples []sample
}

// sample is one line: its name, its labels but le as they stand, and le.
type sample struct {
	name, labels, le string
	value            float64
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(?:,|$)`)
)

// parseExposition reads Prometheus' text format as strictly as its checker: HELP
// and TYPE once and in front, the lines of a name together, no series twice.
func parseExposition(t *testing.T, text string) map[string]*family {
	t.Helper()
	all, series := map[string]*family{}, map[string]bool{}
	helped, now := "", ""
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, help, _ := strings.Cut(rest, " ")
			if all[name] != nil || help == "" || !metricName.MatchString(name) {
				t.Errorf("%q: a name twice, without a text, or no name", line)
			}
			helped = name
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if name != helped || all[name] != nil || !slices.Contains([]string{"counter", "gauge", "histogram", "summary"}, kind) {
				t.Errorf("%q: HELP was of %q", line, helped)
			}
			all[name], now = &family{kind: kind}, name
			continue
		}
		s, ok := parseSample(line)
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(s.name, "_bucket"), "_sum"), "_count")
		if !ok || s.name != now && !(base == now && (all[now].kind == "histogram" || all[now].kind == "summary")) {
			t.Errorf("%q: no sample of %s", line, now)
			continue
		}
		if key := s.name + s.labels + s.le; series[key] {
			t.Errorf("%q is there twice", line)
		} else {
			series[key] = true
		}
		all[now].samples = append(all[now].samples, s)
	}
	return all
}

func parseSample(line string) (s sample, ok bool) {
	m := sampleLine.FindStringSubmatch(line)
	if m == nil {
		return s, false
	}
	s.name = m[1]
	seen := map[string]bool{}
	for rest := m[2]; rest != ""; {
		pair := labelPair.FindStringSubmatch(rest)
		if pair == nil || seen[pair[1]] {
			return s, false
		}
		seen[pair[1]] = true
		if rest = rest[len(pair[0]):]; pair[1] == "le" {
			s.le = pair[2]
		} else {
			s.labels += fmt.Sprintf("%s=%q ", pair[1], pair[2])
		}
	}
	var err error
	s.value, err = strconv.ParseFloat(m[3], 64)
	return s, err == nil
}

// TestExposition parses what a scrape gives, checks every histogram, and holds
// the list of vLLM's names that boards and gateways read.
func TestExposition(t *testing.T) {
	all := parseExposition(t, scrape(t))
	for name, f := range all {
		if len(f.samples) == 0 {
			t.Errorf("%s has HELP and TYPE and no sample", name)
		}
		if f.kind == "counter" && !strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a counter: its name has to end with _total", name)
		}
		if f.kind == "histogram" {
			checkHistogram(t, name, f)
		}
	}
	const count, gauge, histogram = "counter", "gauge", "histogram"
	for name, kind := range map[string]string{
		"num_requests_running": gauge, "num_requests_waiting": gauge, "kv_cache_usage_perc": gauge, "gpu_cache_usage_perc": gauge,
		"prefix_cache_queries_total": count, "prefix_cache_hits_total": count, "num_preemptions_total": count,
		"prompt_tokens_total": count, "generation_tokens_total": count, "request_success_total": count,
		"request_prompt_tokens": histogram, "request_generation_tokens": histogram, "request_params_n": histogram,
		"request_params_max_tokens": histogram, "request_max_num_generation_tokens": histogram, "iteration_tokens_total": histogram,
		"time_to_first_token_seconds": histogram, "time_per_output_token_seconds": histogram, "inter_token_latency_seconds": histogram,
		"request_time_per_output_token_seconds": histogram, "e2e_request_latency_seconds": histogram, "request_queue_time_seconds": histogram,
		"request_inference_time_seconds": histogram, "request_prefill_time_seconds": histogram, "request_decode_time_seconds": histogram,
		"lora_requests_info": gauge, "cache_config_info": gauge,
	} {
		f := all["vllm:"+name]
		if f == nil || f.kind != kind {
			t.Errorf("vllm:%s: got %+v, want a %s", name, f, kind)
			continue
		}
		for _, s := range f.samples {
			if !strings.Contains(s.labels, `engine="0"`) || !strings.Contains(s.labels, "model_name=") {
				t.Errorf("vllm:%s has the labels %s, want model_name and engine among them", name, s.labels)
			}
		}
	}
	if s := all["vllm:lora_requests_info"].samples[0]; !strings.Contains(s.labels, `max_lora="4"`) || !strings.Contains(s.labels, `running_lora_adapters="a,b"`) || !strings.Contains(s.labels, `waiting_lora_adapters=""`) {
		t.Errorf("adapters: %s", s.labels)
	}
	var bounds []string
	for _, s := range all["vllm:request_prompt_tokens"].samples {
		if s.le != "" && strings.Contains(s.labels, `"tiny"`) {
			bounds = append(bounds, s.le)
		}
	}
	if got := strings.Join(bounds, " "); !strings.HasPrefix(got, "1 2 5 10 20 50 100") || !strings.HasSuffix(got, "+Inf") {
		t.Errorf("bounds of tokens are %s, want 1, 2, 5, 10 and so on", got)
	}
}

// checkHistogram wants buckets that rise, both ways, up to +Inf, which is the count.
func checkHistogram(t *testing.T, name string, f *family) {
	t.Helper()
	type last struct{ le, n float64 }
	buckets, counts, sums := map[string]last{}, map[string]float64{}, map[string]bool{}
	for _, s := range f.samples {
		switch s.name {
		case name + "_bucket":
			le, err := strconv.ParseFloat(s.le, 64)
			before, ok := buckets[s.labels]
			if err != nil || ok && (le <= before.le || s.value < before.n) {
				t.Errorf("%s{%s le=%q}: %g behind %+v, want both to rise", name, s.labels, s.le, s.value, before)
			}
			buckets[s.labels] = last{le, s.value}
		case name + "_count":
			counts[s.labels] = s.value
		case name + "_sum":
			sums[s.labels] = true
		default:
			t.Errorf("%s is no part of the histogram %s", s.name, name)
		}
	}
	for labels, b := range buckets {
		if n, ok := counts[labels]; !ok || !sums[labels] || !math.IsInf(b.le, 1) || b.n != n {
			t.Errorf("%s{%s}: ends with %+v, count %g (%t), sum %t", name, labels, b, n, ok, sums[labels])
		}
	}
}
