package main

import (
	"math"
	"testing"
)

func TestMedian(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		values []float64
		want   float64
	}{
		{nil, nan},
		{[]float64{nan}, nan},
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 2, 100}, 3},
		{[]float64{nan, 9, nan, 1, 2}, 2},
	}
	for _, test := range tests {
		if got := median(test.values); got != test.want && !(math.IsNaN(got) && math.IsNaN(test.want)) {
			t.Errorf("median(%v) = %v, want %v", test.values, got, test.want)
		}
	}
	values := []float64{3, 1, 2}
	median(values)
	if values[0] != 3 {
		t.Error("median reordered its argument")
	}
}

func TestMedianRatio(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name   string
		of, to []float64
		want   float64
	}{
		{"a slow round disturbs both alike", []float64{200, 20, 200}, []float64{100, 10, 100}, 2},
		{"a failed cell takes its round out", []float64{nan, 30, 30}, []float64{1, 10, 10}, 3},
		{"nothing to compare with", []float64{1}, nil, nan},
		{"zero is no yardstick", []float64{1, 4}, []float64{0, 2}, 2},
	}
	for _, test := range tests {
		if got := medianRatio(test.of, test.to); got != test.want && !(math.IsNaN(got) && math.IsNaN(test.want)) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}
