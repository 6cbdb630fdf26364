package main

import (
	"math"
	"slices"
)

// median is the middle of the values, the mean of the two middle ones of an even number, and NaN
// of none. NaNs among the values do not count.
func median(values []float64) float64 {
	sorted := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(sorted) == 0 {
		return math.NaN()
	}
	slices.Sort(sorted)
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// medianRatio is the median of the ratios of values that were measured in the same round, which a
// machine that is slower for some rounds disturbs less than the ratio of two medians. Element i
// of both slices belongs to round i; NaN stands for a failed measurement.
func medianRatio(of, to []float64) float64 { return median(roundRatios(of, to)) }

// roundRatios are the ratios of the rounds in which both were measured.
func roundRatios(of, to []float64) []float64 {
	ratios := make([]float64, 0, len(of))
	for i := range min(len(of), len(to)) {
		if ratio := of[i] / to[i]; to[i] != 0 && !math.IsNaN(ratio) {
			ratios = append(ratios, ratio)
		}
	}
	return ratios
}

// extremes are the lowest and the highest of the values that are numbers; NaN of none.
func extremes(values []float64) (lowest, highest float64) {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(values) == 0 {
		return math.NaN(), math.NaN()
	}
	return slices.Min(values), slices.Max(values)
}
