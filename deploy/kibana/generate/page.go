package main

// page begins a dashboard that is written panel by panel: each method adds one, of a short name and the question that it answers.
// The panel's id is the dashboard's with the name.
func page(name, title, description string) *dashboard {
	return &dashboard{id: "shipperd-" + name, title: title, description: description}
}

func (d *dashboard) add(v view) { d.panels = append(d.panels, panel{view: v}) }

// numbers writes the count of documents and other measures in large type.
func (d *dashboard) numbers(question string, s scope, more ...measure) {
	d.add(numbers(d.id+"-size", question, s, counted(more...)...))
}

// bars stacks counts over time, split by the top values of the bucket.
func (d *dashboard) bars(name, question string, s scope, split bucket) {
	d.add(bars(d.id+"-"+name, question, s, count(), "", split))
}

// table lists the top values of the buckets, side by side, with the measures.
func (d *dashboard) table(name, question string, s scope, measures []measure, buckets ...bucket) {
	d.add(table(d.id+"-"+name, question, s, measures, buckets...))
}

// countries lists where addresses are.
func (d *dashboard) countries(question string, s scope) {
	d.table("countries", question, s, counted(unique("source.ip", "Addresses")), top(20, "source.geo.country_iso_code", "Country"))
}

// search lists single documents.
func (d *dashboard) search(name, question string, s scope, columns ...string) {
	d.add(search{id: d.id + "-" + name, title: question, scope: s, columns: columns})
}
