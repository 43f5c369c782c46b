package template

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/shipperd/shipperd/pkg/document"
	"github.com/shipperd/shipperd/pkg/elastic"
)

const (
	// firstTry bounds how long the start may take longer because of the template: a
	// cluster that is there answers the handful of requests within a second.
	firstTry = 3 * time.Second
	// Tries come at growing intervals: an outage is over soon, a missing
	// permission waits for a person.
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// Keeper is the daemon's share: it puts the template when it is absent, and says
// how it stands. It never changes one that is there.
type Keeper struct {
	sink      *elastic.Sink
	documents document.Config
	install   bool
	log       *zap.Logger
	installed prometheus.Gauge

	settled    bool // new indices get the template
	complained bool
}

// NewKeeper returns a Keeper. Unless it may install, it only looks.
func NewKeeper(sink *elastic.Sink, documents document.Config, install bool, log *zap.Logger, reg prometheus.Registerer) *Keeper {
	k := &Keeper{sink: sink, documents: documents, install: install, log: log.Named("template")}
	k.installed = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "shipperd_template_installed", Help: "1 if new indices get shipperd's index template, as far as the cluster has told.",
	})
	reg.MustRegister(k.installed)
	return k
}

// Start tries once, briefly, and says whether documents may hold
// aws.cloudtrail.flattened: where an index does not map it so, it would be
// thousands of fields.
func (k *Keeper) Start(ctx context.Context) (flattened bool) {
	ctx, cancel := context.WithTimeout(ctx, firstTry)
	defer cancel()
	return k.try(ctx).Flattened
}

// Run goes on trying until the template is in effect or ctx ends. It returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	for wait := firstRetry; !k.settled; wait = min(2*wait, lastRetry) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		k.try(ctx)
	}
	return nil
}

// try looks, installs what is absent, and says once what is wrong and once that
// it is well.
func (k *Keeper) try(ctx context.Context) Effect {
	state, effect, err := k.ensure(ctx)
	switch {
	case denied(err):
		k.complain("the index template may not be read or put; let an administrator run shipperd setup", zap.Error(err))
	case err != nil:
		k.complain("the index template could not be looked at; trying again", zap.Error(err))
	case state == Absent:
		k.complain("there is no index template; run shipperd setup")
	case !effect.Ours:
		k.complain("another index template of higher priority wins; lower that, or take these indices out of its patterns", zap.String("template", effect.Winner))
	default:
		k.settled = true
		k.installed.Set(1)
		k.log.Info("the index template is in effect", zap.String("state", string(state)), zap.Strings("indices_without", effect.Earlier))
	}
	return effect
}

// complain warns the first time: what is wrong stays wrong until a person acts.
func (k *Keeper) complain(message string, fields ...zap.Field) {
	if !k.complained {
		k.complained = true
		k.log.Warn(message+"; until then documents are indexed without it, and source.ip is text", fields...)
	}
}

// ensure puts the template if it is absent and may be installed.
func (k *Keeper) ensure(ctx context.Context) (State, Effect, error) {
	cluster, err := Open(ctx, k.sink)
	if err != nil {
		return "", Effect{}, err
	}
	plan, err := cluster.Plan(ctx, k.documents, nil)
	if err != nil {
		return "", Effect{}, err
	}
	if plan.State == Absent {
		if !k.install {
			return Absent, Effect{}, nil
		}
		if err := cluster.Put(ctx, plan.Template); err != nil {
			return Absent, Effect{}, err
		}
		plan.State = Current
	}
	effect, err := cluster.Effect(ctx, k.documents, time.Now())
	return plan.State, effect, err
}
