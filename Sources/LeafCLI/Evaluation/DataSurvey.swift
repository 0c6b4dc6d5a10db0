import LeafSystem
import LeafWire
import Leafcutter

/// What a data file needs, found before a model is opened. It also validates every line, and leaves the file at its
/// beginning.
struct DataSurvey {
    private(set) var demands: DemandSurvey
    private(set) var items = 0
    /// The number of items with a target.
    private(set) var wanted = 0
    /// The number of items whose beginning is cut away.
    private(set) var cut = 0
    /// Bytes that items under way, a line that is read, and their answers take.
    private(set) var bytes = 0

    init<Task: EvaluationTask>(
        _ task: Task, _ form: EvaluationForm, _ lines: inout DataLines<Task.Item>, batch: Int, _ file: ModelFile,
        _ terminal: Terminal
    ) throws(LeafError) {
        demands = DemandSurvey(sequences: batch)
        var texts: EvaluationTexts<Task.Request>?
        while let line = try lines.next(check: { item throws(LeafError) in
            let asked = try task.texts(of: item, in: form)
            for request in asked.requests { try request.validate(for: file.configuration) }
            texts = asked
        }) {
            try terminal.interrupt.check()
            items += 1
            if line.item.wanted != nil { wanted += 1 }
            if texts?.isCut == true { cut += 1 }
            for request in texts?.requests ?? [] { demands.add(request.demand(in: file.configuration)) }
            terminal.progress.show(Progress("reading", items, "item"))
        }
        let room = AnswerRoom.generation(tokens: demands.longest, samples: 1, logprobs: nil)
        let needed =
            2 << 16 +| 20 *| lines.longestLine +| 2 *| batch *| (2 *| lines.longestLine +| room.held)
            +| room.written +| lines.keptBytes
        bytes = needed
        lines.rewind()
    }
}
