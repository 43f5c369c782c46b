package main

import "fmt"

// A visualization is a drawn aggregation.
type visualization struct {
	id, title string
	scope
	kind       string
	params     tree
	aggs       []tree
	ownPattern bool // the params name the index pattern; there is no reference to it
}

func (v visualization) object() (object, error) {
	source, references, err := v.searchSource()
	if err != nil {
		return object{}, err
	}
	if v.ownPattern {
		references = []reference{}
		if source, err = text(tree{"query": tree{"query": v.query, "language": "kuery"}, "filter": []tree{}}); err != nil {
			return object{}, err
		}
	}
	state, err := text(tree{"title": v.title, "type": v.kind, "params": v.params, "aggs": v.aggs})
	return object{
		ID: v.id, Type: "visualization",
		Attributes: tree{
			"title": v.title, "description": "", "version": 1, "visState": state, "uiStateJSON": "{}",
			"kibanaSavedObjectMeta": tree{"searchSourceJSON": source},
		},
		References:       references,
		MigrationVersion: map[string]string{"visualization": visualizationVersion},
	}, err
}

// A measure is the number that an aggregation counts.
type measure struct {
	kind, field, label string
}

func count() measure              { return measure{"count", "", "Events"} }
func unique(f, l string) measure  { return measure{"cardinality", f, l} }
func sum(field, l string) measure { return measure{"sum", field, l} }
func latest(f, l string) measure  { return measure{"max", f, l} }

// counted puts the count of documents before other measures, and ranked after them. The first one orders the buckets.
func counted(more ...measure) []measure { return append([]measure{count()}, more...) }
func ranked(first ...measure) []measure { return append(first, count()) }

// A bucket splits documents by the values of a field.
type bucket struct {
	field, label string
	size         int
}

func top(size int, field, label string) bucket { return bucket{field, label, size} }

// aggregations numbers measures first, then buckets; buckets are ordered by the first measure. The schema says where a kind of
// visualization puts a bucket.
func aggregations(measures []measure, schema string, buckets []bucket) []tree {
	var aggs []tree
	for _, m := range measures {
		params := tree{"customLabel": m.label}
		if m.field != "" {
			params["field"] = m.field
		}
		aggs = append(aggs, tree{"id": fmt.Sprint(len(aggs) + 1), "enabled": true, "type": m.kind, "schema": "metric", "params": params})
	}
	for _, b := range buckets {
		aggs = append(aggs, tree{
			"id": fmt.Sprint(len(aggs) + 1), "enabled": true, "type": "terms", "schema": schema,
			"params": tree{
				"field": b.field, "customLabel": b.label, "size": b.size, "orderBy": "1", "order": "desc",
				"otherBucket": false, "otherBucketLabel": "Other", "missingBucket": false, "missingBucketLabel": "Missing",
			},
		})
	}
	return aggs
}

// table lists the top values of the buckets, side by side, with the measures.
func table(id, title string, s scope, measures []measure, buckets ...bucket) visualization {
	return visualization{
		id: id, title: title, scope: s, kind: "table", aggs: aggregations(measures, "bucket", buckets),
		params: tree{
			"perPage": 10, "showPartialRows": false, "showMetricsAtAllLevels": false, "showTotal": false, "totalFunc": "sum",
			"percentageCol": "", "sort": tree{"columnIndex": nil, "direction": nil},
		},
	}
}

// pie draws shares, the first bucket innermost.
func pie(id, title string, s scope, buckets ...bucket) visualization {
	return visualization{
		id: id, title: title, scope: s, kind: "pie", aggs: aggregations([]measure{count()}, "segment", buckets),
		params: tree{
			"type": "pie", "addTooltip": true, "addLegend": true, "legendPosition": "right", "isDonut": true,
			"labels": tree{"show": false, "values": true, "last_level": true, "truncate": 100},
		},
	}
}

// numbers writes measures in large type.
func numbers(id, title string, s scope, measures ...measure) visualization {
	return visualization{
		id: id, title: title, scope: s, kind: "metric", aggs: aggregations(measures, "", nil),
		params: tree{
			"type": "metric", "addTooltip": true, "addLegend": false,
			"metric": tree{
				"percentageMode": false, "useRanges": false, "colorSchema": "Green to Red", "metricColorMode": "None",
				"colorsRange": []tree{{"from": 0, "to": 10000}}, "labels": tree{"show": true}, "invertColors": false,
				"style": tree{"bgFill": "#000", "bgColor": false, "labelColor": false, "subText": "", "fontSize": 48},
			},
		},
	}
}

// gauge draws one dial for each value of the bucket.
func gauge(id, title string, s scope, b bucket) visualization {
	return visualization{
		id: id, title: title, scope: s, kind: "gauge", aggs: aggregations([]measure{count()}, "group", []bucket{b}),
		params: tree{
			"type": "gauge", "addTooltip": true, "addLegend": true, "isDisplayWarning": false,
			"gauge": tree{
				"verticalSplit": false, "extendRange": true, "percentageMode": false, "gaugeType": "Arc", "gaugeStyle": "Full",
				"backStyle": "Full", "orientation": "vertical", "colorSchema": "Green to Red", "gaugeColorMode": "Labels",
				"colorsRange": []tree{{"from": 0, "to": 100}, {"from": 100, "to": 1000}, {"from": 1000, "to": 10000}}, "invertColors": false,
				"labels": tree{"show": true, "color": "black"}, "type": "meter",
				"scale": tree{"show": true, "labels": false, "color": "rgba(105,112,125,0.2)"},
				"style": tree{
					"bgWidth": 0.9, "width": 0.9, "mask": false, "bgMask": false, "maskBars": 50, "bgFill": "rgba(105,112,125,0.2)",
					"bgColor": true, "subText": "", "fontSize": 60,
				},
			},
		},
	}
}

// bars stacks a measure over time, split by the top values of the bucket. An empty interval lets Kibana choose it.
func bars(id, title string, s scope, m measure, interval string, split bucket) visualization {
	if interval == "" {
		interval = "auto"
	}
	aggs := aggregations([]measure{m}, "group", []bucket{split})
	overTime := tree{
		"id": "3", "enabled": true, "type": "date_histogram", "schema": "segment",
		"params": tree{
			"field": timeField, "interval": interval, "useNormalizedEsInterval": true, "scaleMetricValues": false,
			"drop_partials": false, "min_doc_count": 1, "extended_bounds": tree{},
		},
	}
	axis := func(id, kind, position string) tree {
		return tree{
			"id": id, "type": kind, "position": position, "show": true, "style": tree{}, "scale": tree{"type": "linear"},
			"labels": tree{"show": true, "filter": true, "truncate": 100}, "title": tree{},
		}
	}
	values := axis("ValueAxis-1", "value", "left")
	values["name"] = "LeftAxis-1"
	values["scale"] = tree{"type": "linear", "mode": "normal"}
	values["title"] = tree{"text": m.label}
	return visualization{
		id: id, title: title, scope: s, kind: "histogram", aggs: append(aggs, overTime),
		params: tree{
			"type": "histogram", "grid": tree{"categoryLines": false}, "addTooltip": true, "addLegend": true,
			"legendPosition": "right", "times": []tree{}, "addTimeMarker": false, "labels": tree{"show": false},
			"thresholdLine": tree{"show": false, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
			"categoryAxes":  []tree{axis("CategoryAxis-1", "category", "bottom")}, "valueAxes": []tree{values},
			"seriesParams": []tree{{
				"show": true, "type": "histogram", "mode": "stacked", "data": tree{"label": m.label, "id": "1"},
				"valueAxis": "ValueAxis-1", "drawLinesBetweenPoints": true, "lineWidth": 2, "showCircles": true,
			}},
		},
	}
}

// series draws counts over time with the time series builder, one line for each of the top ten values of the field.
func series(id, title, field string) visualization {
	return visualization{
		id: id, title: title, kind: "metrics", aggs: []tree{}, ownPattern: true,
		params: tree{
			"id": id, "type": "timeseries", "index_pattern": indexPattern, "time_field": timeField, "interval": "",
			"default_index_pattern": indexPattern, "default_timefield": timeField,
			"axis_position": "left", "axis_formatter": "number", "axis_scale": "normal",
			"show_legend": 1, "show_grid": 1, "tooltip_mode": "show_all", "isModelInvalid": false,
			"series": []tree{{
				"id": id + "-1", "label": "", "color": "#68BC00", "split_mode": "terms", "terms_field": field, "terms_size": "10",
				"terms_order_by": "_count", "metrics": []tree{{"id": id + "-2", "type": "count"}}, "formatter": "number",
				"separate_axis": 0, "axis_position": "right", "chart_type": "line", "line_width": 1, "point_size": 1, "fill": 0.5,
				"stacked": "none", "split_color_mode": "gradient",
			}},
		},
	}
}
