"""SplitMix64, as the Go tests have it: random choices that both sides make alike."""

M = 1 << 64


class SplitMix:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) % M
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % M
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % M
        return (z ^ (z >> 31)) % n
