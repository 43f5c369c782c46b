package kinesis

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/checkpoint"
	"github.com/shipperd/shipperd/pkg/kinesis/kinesisfake"
	"github.com/shipperd/shipperd/pkg/record"
)

// BenchmarkRead reads one shard of 10,000 records of 4 KiB in process, without the
// service's limits: what the reader itself costs.
func BenchmarkRead(b *testing.B) {
	const records, size = 10_000, 4 << 10
	service := &kinesisfake.Service{}
	stream := service.Create("logs", 1)
	for range records {
		stream.Put(shardName(0), make([]byte, size))
	}
	config := DefaultConfig()
	config.Stream, config.Limits = "logs", Limits{}
	pool := new(record.Pool)
	b.SetBytes(records * size)
	b.ReportAllocs()
	for b.Loop() {
		ctx, stop := context.WithCancel(b.Context())
		found, err := Open(ctx, service, config, nil, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			b.Fatal(err)
		}
		limit, seen := &budget{total: 64 << 20}, 0
		source := NewSource(found, &store{rows: make(map[string]checkpoint.Position)}, limit, pool)
		if err := source.Run(ctx, func(r *record.Record) error {
			limit.Release(r.Charged)
			pool.Release(r)
			if seen++; seen == records {
				stop()
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}
