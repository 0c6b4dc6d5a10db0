import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

/// What a server has done, as Prometheus reads it.
struct ServerMetrics {
    private var requests: [Answered: Int] = [:]
    private var tokens = 0
    /// Seconds that answers of the model took, from the whole request on.
    private var answerSeconds = 0.0
    private var answers = 0

    private struct Answered: Hashable {
        let route: String
        let outcome: HTTPOutcome
    }

    /// - Parameters:
    ///   - route: one of a few; never what a client made up.
    ///   - outcome: of the request.
    mutating func count(_ route: String, _ outcome: HTTPOutcome) {
        requests[Answered(route: route, outcome: outcome), default: 0] += 1
    }

    private func total(_ outcome: HTTPOutcome) -> Int {
        requests.reduce(0) { $0 + ($1.key.outcome == outcome ? $1.value : 0) }
    }

    mutating func note(answerSeconds seconds: Double) {
        answerSeconds += seconds
        answers += 1
    }

    mutating func count(tokens: Int) { self.tokens += tokens }

    /// Of an answer; 1 before there was one.
    var meanAnswerSeconds: Double { answers > 0 ? answerSeconds / Double(answers) : 1 }

    struct Now {
        var waiting = 0
        var underWay = 0
        var texts = 0
        var rows = 0
        var connections = 0
        var sweepSeconds = 0.0
    }

    func text(_ now: Now, _ model: Model?) -> String {
        var page = MetricsPage()
        page.add(
            "leafcutter_requests_total", .counter, "Requests that are over, by what became of them.",
            requests.map { (route: $0.key.route, word: $0.key.outcome.word, count: $0.value) }
                .sorted { ($0.route, $0.word) < ($1.route, $1.word) }
                .map { ("{route=\"\($0.route)\",status=\"\($0.word)\"}", Double($0.count)) })
        page.add(
            "leafcutter_clients_gone_total", .counter,
            "Clients that left before their request and its answer were whole.", total(.gone))
        page.add(
            "leafcutter_answers_cut_total", .counter, "Requests and answers that the server broke off.", total(.cut))
        page.add("leafcutter_tokens_total", .counter, "Tokens that were generated.", tokens)
        page.add("leafcutter_connections", .gauge, "Open connections.", now.connections)
        page.add("leafcutter_queue_requests", .gauge, "Requests that wait for their turn.", now.waiting)
        page.add("leafcutter_active_requests", .gauge, "Requests on the sweeps.", now.underWay)
        page.add("leafcutter_active_texts", .gauge, "Texts on the sweeps.", now.texts)
        page.add("leafcutter_sweep_rows", .gauge, "Rows on the last sweep.", now.rows)
        page.add("leafcutter_sweep_seconds", .gauge, "Seconds that a sweep takes at present.", now.sweepSeconds)
        guard let model else { return page.text }
        let counters = model.counters
        let (read, wait) = (Double(counters.readNanoseconds) * 1e-9, Double(counters.waitNanoseconds) * 1e-9)
        page.add("leafcutter_sweeps_total", .counter, "Passes over the model that have ended.", counters.sweeps)
        page.add("leafcutter_read_bytes_total", .counter, "Bytes read from the model's file.", counters.bytesRead)
        page.add("leafcutter_read_seconds_total", .counter, "Seconds with a read under way.", read)
        page.add("leafcutter_wait_seconds_total", .counter, "Seconds that computing waited for the disk.", wait)
        page.add("leafcutter_memory_budget_bytes", .gauge, "The memory budget.", model.plan.budget)
        page.add("leafcutter_memory_planned_bytes", .gauge, "What the plan promises to need.", model.plan.total)
        page.add("leafcutter_memory_peak_bytes", .gauge, "The most memory that the process has had.", model.peakBytes)
        let drafts = model.speculation
        page.add("leafcutter_drafted_tokens_total", .counter, "Tokens that were drafted.", drafts.drafted)
        page.add("leafcutter_accepted_tokens_total", .counter, "Drafted tokens that were right.", drafts.accepted)
        page.add("leafcutter_draft_seconds_total", .counter, "Seconds in which tokens were drafted.", drafts.seconds)
        page.add(
            "leafcutter_draft_steps_total", .counter, "Sweeps of single texts that might have drafts.", drafts.steps)
        page.add("leafcutter_draft_step_tokens_total", .counter, "Tokens that texts got on these.", drafts.tokens)
        page.add(
            "leafcutter_speculation_info", .gauge, "What guesses tokens: ngram, model, or off where nothing does.",
            [("{mode=\"\(drafts.kind.rawValue)\"}", 1)])
        return page.text
    }
}

/// The text that Prometheus reads.
private struct MetricsPage {
    enum Kind: String {
        case counter, gauge
    }

    private(set) var text = ""

    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: some BinaryInteger) {
        add(name, kind, help, Double(value))
    }

    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        add(name, kind, help, [("", value)])
    }

    mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: String, value: Double)]) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        for (labels, value) in samples { text += "\(name)\(labels) \(JSON.number(value).line)\n" }
    }
}
