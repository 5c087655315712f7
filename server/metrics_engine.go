package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// engineCollector asks each engine, and each model's place in memory, when a
// scrape comes.
type engineCollector struct {
	models []Model
	rows   []engineRow
	places []placeRow
	batch  *prometheus.Desc
	cache  *prometheus.Desc
	lora   *prometheus.Desc
}

// engineRow is one figure of Stats.
type engineRow struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(Stats) float64
}

// placeRow is one figure of Status.
type placeRow struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(Status) float64
}

func newEngineCollector(models []Model) *engineCollector {
	c := &engineCollector{models: models}
	c.gauges()
	c.counts()
	c.memory()
	theirs := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("vllm:"+name, help, append([]string{"model_name"}, labels...), vllmLabels())
	}
	c.batch = theirs("iteration_tokens_total", "Token rows of a pass.")
	c.cache = theirs("cache_config_info", "How keys and values are kept; always 1.", "block_size", "num_gpu_blocks", "cache_dtype", "enable_prefix_caching")
	c.lora = theirs("lora_requests_info", "Adapters of running and of waiting requests; the value is the time of the scrape.", "max_lora", "running_lora_adapters", "waiting_lora_adapters")
	return c
}

// add lists a figure under its names. A name of ours has the model as its one
// label, vLLM's have the engine's number too.
func (c *engineCollector) add(kind prometheus.ValueType, help string, value func(Stats) float64, names ...string) {
	for _, name := range names {
		c.rows = append(c.rows, engineRow{describe(name, help), kind, value})
	}
}

func describe(name, help string) *prometheus.Desc {
	var fixed prometheus.Labels
	if strings.HasPrefix(name, "vllm:") {
		fixed = vllmLabels()
	}
	return prometheus.NewDesc(name, help, []string{"model_name"}, fixed)
}

// gauges are what is so at the moment.
func (c *engineCollector) gauges() {
	const gauge = prometheus.GaugeValue
	c.add(gauge, "Sequences being computed.", func(s Stats) float64 { return float64(s.Running) },
		"weft_requests_running", "vllm:num_requests_running")
	c.add(gauge, "Sequences in the queue.", func(s Stats) float64 { return float64(s.Waiting) },
		"weft_requests_waiting", "vllm:num_requests_waiting")
	c.add(gauge, "Cache pages nobody holds.", func(s Stats) float64 { return float64(s.PagesFree) }, "weft_kv_pages_free")
	c.add(gauge, "Cache pages that sequences hold.", func(s Stats) float64 { return float64(s.PagesUsed) }, "weft_kv_pages_used")
	c.add(gauge, "Cache pages held for their prefixes alone, given up when pages run out.", func(s Stats) float64 { return float64(s.PagesCached) }, "weft_kv_pages_cached")
	c.add(gauge, "Memory of a cache page, as its type keeps keys and values.", func(s Stats) float64 { return float64(s.PageBytes) }, "weft_kv_page_bytes")
	c.add(gauge, "Cache pages there are.", func(s Stats) float64 { return float64(s.PagesTotal) }, "weft_kv_pages_total")
	c.add(gauge, "Memory of the adapters that are loaded, beside the model's.", func(s Stats) float64 { return float64(s.LoRABytes) }, "weft_lora_memory_bytes")
	c.add(gauge, "Share of the cache pages in use, 0 to 1.", func(s Stats) float64 {
		return float64(s.PagesUsed) / float64(max(1, s.PagesTotal))
	}, "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc") // the newer and the older name
}

// counts only rise, over unloads too.
func (c *engineCollector) counts() {
	const count = prometheus.CounterValue
	c.add(count, "Sequences put back into the queue for want of pages.", func(s Stats) float64 { return float64(s.Preemptions) },
		"weft_preemptions_total", "vllm:num_preemptions_total")
	c.add(count, "Prompt tokens looked up in the prefix cache.", func(s Stats) float64 { return float64(s.PrefixQueries) },
		"weft_prefix_cache_queries_total", "vllm:prefix_cache_queries_total")
	c.add(count, "Prompt tokens found in the prefix cache.", func(s Stats) float64 { return float64(s.PrefixHits) },
		"weft_prefix_cache_hits_total", "vllm:prefix_cache_hits_total")
	c.add(count, "Cache pages read back from disk.", func(s Stats) float64 { return float64(s.PrefixLoaded) },
		"weft_prefix_cache_loaded_pages_total")
	c.add(count, "Passes of a sequence with guessed tokens.", func(s Stats) float64 { return float64(s.Drafts) },
		"weft_spec_decode_drafts_total", "vllm:spec_decode_num_drafts_total")
	c.add(count, "Tokens guessed.", func(s Stats) float64 { return float64(s.Drafted) },
		"weft_spec_decode_draft_tokens_total", "vllm:spec_decode_num_draft_tokens_total")
	c.add(count, "Guessed tokens that were right.", func(s Stats) float64 { return float64(s.Accepted) },
		"weft_spec_decode_accepted_tokens_total", "vllm:spec_decode_num_accepted_tokens_total")
	c.add(count, "Passes in which the draft model failed; the log has the reason.", func(s Stats) float64 { return float64(s.DraftFailures) },
		"weft_spec_decode_draft_failures_total")
}

// memory says which models are in it.
func (c *engineCollector) memory() {
	add := func(kind prometheus.ValueType, name, help string, value func(Status) float64) {
		c.places = append(c.places, placeRow{describe(name, help), kind, value})
	}
	const gauge, count = prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "weft_model_loaded", "1 if the model is in memory.", func(s Status) float64 {
		if s.State == loaded {
			return 1
		}
		return 0
	})
	add(gauge, "weft_model_memory_bytes", "Memory that the model takes, its cache included.", func(s Status) float64 { return float64(s.taken()) })
	add(count, "weft_model_loads_total", "Times that the model was loaded.", func(s Status) float64 { return float64(s.Loads) })
	add(count, "weft_model_unloads_total", "Times that the model was unloaded.", func(s Status) float64 { return float64(s.Unloads) })
	add(count, "weft_model_load_failures_total", "Loads of the model that failed.", func(s Status) float64 { return float64(s.Failures) })
}

// Describe implements prometheus.Collector.
func (c *engineCollector) Describe(out chan<- *prometheus.Desc) {
	for _, r := range c.rows {
		out <- r.desc
	}
	for _, r := range c.places {
		out <- r.desc
	}
	out <- c.batch
	out <- c.cache
	out <- c.lora
}

// Collect implements prometheus.Collector.
func (c *engineCollector) Collect(out chan<- prometheus.Metric) {
	for i := range c.models {
		m := &c.models[i]
		if m.Status != nil {
			s := m.Status()
			for _, r := range c.places {
				out <- prometheus.MustNewConstMetric(r.desc, r.kind, r.value(s), m.ID)
			}
		}
		if m.Stats != nil {
			c.engine(out, m.ID, m.Stats())
		}
	}
}

// engine sends the figures of one engine.
func (c *engineCollector) engine(out chan<- prometheus.Metric, id string, s Stats) {
	for _, r := range c.rows {
		out <- prometheus.MustNewConstMetric(r.desc, r.kind, r.value(s), id)
	}
	if len(s.Batch.Bounds) > 0 {
		count, buckets := s.Batch.cumulative()
		out <- prometheus.MustNewConstHistogram(c.batch, count, s.Batch.Sum, buckets, id)
	}
	if s.PagesTotal > 0 { // else it is not loaded
		out <- prometheus.MustNewConstMetric(c.cache, prometheus.GaugeValue, 1, id,
			strconv.Itoa(s.PageLen), strconv.Itoa(s.PagesTotal), s.CacheType, strconv.FormatBool(s.PrefixCache))
	}
	if l := s.LoRA; l != nil {
		out <- prometheus.MustNewConstMetric(c.lora, prometheus.GaugeValue, float64(time.Now().Unix()), id,
			strconv.Itoa(l.Max), strings.Join(l.Running, ","), strings.Join(l.Waiting, ","))
	}
}

// cumulative is how Prometheus wants buckets: each with those below it.
func (h Histogram) cumulative() (count uint64, buckets map[float64]uint64) {
	buckets = map[float64]uint64{}
	for i, n := range h.Counts {
		if count += n; i < len(h.Bounds) {
			buckets[h.Bounds[i]] = count
		}
	}
	return count, buckets
}
