package world

func (w *World) corpusSkill(r *rng) string { return "" }
