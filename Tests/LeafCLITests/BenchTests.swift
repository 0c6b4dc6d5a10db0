import Foundation
import FoundationXML
import GoldenSupport
import Testing

@Suite struct BenchTests {
    private let folder: TemporaryDirectory
    private static let short = ["--repeat", "2", "--generate", "3", "--prompt", "5", "-q"]

    init() throws { folder = try TemporaryDirectory() }

    private func lines(_ run: Leafcutter.Run) throws -> [[String: Any]] {
        #expect(run.status == 0, "\(run.error)")
        return try run.text.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    @Test func everyBudgetIsMeasuredInItsOwnProcess() throws {
        let model = try Models.shared.get().demo
        let run = try Leafcutter.run(
            ["bench", model, "--memory", "48MiB,96MiB", "--batch", "2", "--format", "json"] + Self.short)
        #expect(run.status == 0, "\(run.error)")
        let machine = try #require(run.json?["machine"] as? [String: Any])
        #expect(machine["threads"] is Int && machine["date"] is String)
        let runs = try #require(run.json?["runs"] as? [[String: Any]])
        #expect(runs.map { $0["budget"] as? Int } == [48 << 20, 96 << 20])
        for run in runs {
            #expect(run["prompt_rows"] as? Int == 32 + 5)
            #expect(run["batch"] as? Int == 2)
            for times in ["prefill_seconds", "decode_seconds_per_token"] {
                let values = try #require(run[times] as? [Double])
                #expect(values.count == 2 && values.allSatisfy { $0 > 0 })
            }
            for number in [
                "disk_bytes_per_second", "ram_bytes_per_second", "predicted_seconds_per_token",
                "predicted_prefill_seconds", "first_prefill_seconds",
            ] { #expect(try #require(run[number] as? Double) > 0, "\(number)") }
            #expect(run["streamed_bytes_per_sweep"] is Int)
            // The parent's memory, which measures the machine, is not the model's.
            if Leafcutter.isShipped {
                #expect(try #require(run["peak"] as? Int) <= #require(run["budget"] as? Int))
            }
        }
    }

    /// The measurement would take hours.
    @Test(.timeLimit(.minutes(30)), arguments: ["TERM", "HUP"])
    func aSignalEndsTheMeasurementAndItsProcess(signal: String) throws {
        let run = try Leafcutter.shell(
            """
            "$0" bench "$1" --memory 48MiB --repeat 10000 --generate 3 --prompt 5 -q & pid=$!
            # A thread may end between the list of threads and the reading.
            while kill -0 $pid && child=$(cat /proc/$pid/task/*/children 2>/dev/null); [ -z "$child" ]; do
                sleep 0.1
            done
            sleep 0.\(Int.random(in: 0...9))
            kill -\(signal) $pid
            wait $pid
            status=$?
            [ -e /proc/${child%% *} ] && exit 99
            exit $status
            """, try Models.shared.get().demo)
        #expect(run.status == 130 && run.output.isEmpty, "\(run.error)")
        #expect(run.error.contains("leafcutter bench: interrupted"))
    }

    @Test(.timeLimit(.minutes(30))) func aStoppedMeasurementPrintsTheRowsThatItHasOnce() throws {
        let notes = folder.path("notes")
        let run = try Leafcutter.shell(
            """
            "$0" bench "$1" --memory 48MiB,49MiB --repeat 2 --generate 3 --prompt 5 2> "$2" & pid=$!
            until grep -q 'a token, predicted' "$2" || ! kill -0 $pid; do sleep 0.05; done
            kill -TERM $pid
            wait $pid
            """, try Models.shared.get().demo, notes)
        let error = try String(contentsOfFile: notes, encoding: .utf8)
        #expect(run.status == 130, "\(error)")
        #expect(run.text.split(separator: "\n").count { $0.hasPrefix("| 4") } == 1, "\(run.text)")
        #expect(run.text.contains("| 48.0 MiB |"), "\(run.text)")
        #expect(error.split(separator: "\n").last == "leafcutter bench: interrupted after 1 of 2 budgets", "\(error)")
        #expect(error.components(separatedBy: "interrupted").count == 2, "\(error)")
    }

    @Test func everyFormIsMadeFromEarlierLines() throws {
        let model = try Models.shared.get().demo
        let path = folder.path("runs.jsonl")
        let measured = try Leafcutter.run(
            ["bench", model, "--memory", "64MiB", "--format", "jsonl", "--name", "ours & <mine>", "--output", path]
                + Self.short)
        #expect(measured.status == 0 && measured.output.isEmpty, "\(measured.error)")
        let peer = #"{"name":"peer","budget":1073741824,"decode_seconds_per_token":[8.0,8.5],"version":"x"}"#
        let ours = try String(contentsOfFile: path, encoding: .utf8)
        try (ours + "\n" + peer + "\n").write(toFile: path, atomically: true, encoding: .utf8)

        let again = try lines(try Leafcutter.run("bench", "--from", path, "--format", "jsonl"))
        #expect(again.count == 2)
        let line = try #require(ours.split(separator: "\n").first)
        let first = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? NSDictionary)
        #expect(first.isEqual(to: again[0]))

        let table = try Leafcutter.run("bench", "--from", path).text.split(separator: "\n").filter { $0.hasPrefix("|") }
        #expect(table.count == 4)
        #expect(Set(table.map { $0.count { $0 == "|" } }).count == 1)
        #expect(table[3].contains("| peer | 1.00 GiB |") && table[3].contains("8.25 s ± 354 ms"))
        #expect(table[3].contains("| 0.121 |"))

        let csv = try Leafcutter.run("bench", "--from", path, "--format", "csv").text.split(separator: "\n")
        #expect(Set(csv.map { $0.count { $0 == "," } }).count == 1)
        #expect(csv.count == 3)

        let svg = try Leafcutter.run("bench", "--from", path, "--format", "svg")
        let picture = Picture(svg.output)
        #expect(picture.isWellFormed)
        // A point for each line, and both names.
        #expect(picture.elements["circle"] == 2)
        #expect(picture.text.contains("ours & <mine>") && picture.text.contains("peer"))
        #expect(picture.text.contains("tokens a second") && picture.text.contains("memory that the process may use"))
        #expect(picture.isInside)
    }

    /// What an XML parser sees of a picture.
    private final class Picture: NSObject, XMLParserDelegate {
        var elements: [String: Int] = [:]
        var text = ""
        var isWellFormed = false
        /// Every point lies in the picture.
        var isInside = true

        init(_ data: Data) {
            super.init()
            let parser = XMLParser(data: data)
            parser.delegate = self
            isWellFormed = parser.parse()
        }

        func parser(
            _: XMLParser, didStartElement name: String, namespaceURI _: String?, qualifiedName _: String?,
            attributes: [String: String]
        ) {
            elements[name, default: 0] += 1
            guard name == "circle", let x = attributes["cx"].flatMap(Double.init),
                let y = attributes["cy"].flatMap(Double.init)
            else { return }
            if !(76...680).contains(x) || !(56...376).contains(y) { isInside = false }
        }

        func parser(_: XMLParser, foundCharacters characters: String) { text += characters }
    }

    @Test func badInputIsReportedBeforeAnythingIsMeasured() throws {
        let model = try Models.shared.get().demo
        let nothing = folder.path("nothing.jsonl")
        try "\n".write(toFile: nothing, atomically: true, encoding: .utf8)
        let broken = folder.path("broken.jsonl")
        try #"{"budget":1,"decode_seconds_per_token":[1]}"#.appending("\n{\"budget\":1}\n")
            .write(toFile: broken, atomically: true, encoding: .utf8)
        let zero = folder.path("zero.jsonl")
        try #"{"budget":1,"decode_seconds_per_token":[0]}"#.write(toFile: zero, atomically: true, encoding: .utf8)
        let cases: [([String], Int32, String)] = [
            ([model, "--memory", "1GiB,big"], 2, "--memory 1GiB,big is not sizes such as"),
            ([model, "--memory", ""], 2, "--memory needs a value"),
            ([model, "--memory", "1GiB,"], 2, "is not sizes"),
            ([model, "--repeat", "0"], 2, "--repeat 0 is not a whole number from 1 to"),
            ([model, "--generate", "-1"], 2, "--generate -1 is not a whole number from"),
            ([model, "--prompt", "0"], 2, "--prompt 0 is not a whole number from"),
            ([model, "--batch", "9999"], 2, "--batch 9999 is not a whole number from"),
            ([model, "--format", "pdf"], 2, "--format pdf is not one of md, csv, json, jsonl, svg"),
            ([model, "--memory", "1GiB,1MiB"], 3, "needs at least"),
            ([model, "--output", "/proc/none/out"], 1, "/proc/none/out"),
            ([model, "--output", folder.url.path], 1, "is a directory"),
            ([model, "--trace", "/proc/none/out"], 1, "/proc/none/out"),
            ([model, "--trace", "t.json", "--memory", "1GiB,2GiB"], 2, "--trace is for one budget"),
            ([model, "--in-process", "--memory", "1GiB,2GiB"], 2, "--in-process is for one budget"),
            ([model, "--from", broken], 2, "not both"),
            ([], 2, "MODEL is missing"),
            (["--from", folder.path("none.jsonl")], 1, "no such file"),
            (["--from", nothing], 1, "holds no results"),
            (["--from", broken], 1, "line 2: 'decode_seconds_per_token' is missing"),
            (["--from", zero], 1, "line 1: budgets and times have to be numbers above nothing"),
        ]
        for (arguments, status, part) in cases {
            let run = try Leafcutter.run(["bench", "-q"] + arguments)
            #expect(run.status == status, "\(arguments) \(run.error)")
            #expect(run.output.isEmpty)
            #expect(run.error.split(separator: "\n").count == 1, "\(run.error)")
            #expect(run.error.contains(part), "\(run.error)")
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() == [
                "broken.jsonl", "nothing.jsonl", "zero.jsonl",
            ])
    }

    @Test func theTimelineHoldsSweepsKernelsWaitsAndReads() throws {
        let model = try Models.shared.get().demo
        let path = folder.path("trace.json")
        let run = try Leafcutter.run(
            "generate", model, "《登鹳雀楼》王之涣\n", "--greedy", "--max-tokens", "5", "--memory", "64MiB", "--json", "-q",
            "--trace", path)
        #expect(run.status == 0, "\(run.error)")
        let sweeps = try #require((run.json?["timing"] as? [String: Any])?["sweeps"] as? Int)
        let trace = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path))) as? [String: Any])
        let events = try #require(trace["traceEvents"] as? [[String: Any]]).filter { $0["ph"] as? String == "X" }
        let names = Dictionary(grouping: events) { $0["name"] as? String ?? "" }
        #expect(names["prompt"]?.count == 1)
        #expect((1..<sweeps).allSatisfy { names["decode \($0)"]?.count == 1 })
        let inspected = try Leafcutter.run("inspect", model, "--json").json
        let blocks = try #require(inspected?["blocks"] as? [[String: Any]])
        let chunks = blocks.reduce(0) { $0 + ($1["chunks"] as? Int ?? 0) }
        #expect(events.count { $0["cat"] as? String == "block" } == sweeps * blocks.count)
        #expect(events.count { $0["cat"] as? String == "disk" } >= chunks)
        for name in ["linear", "attend", "normalize and quantize"] { #expect(names[name] != nil, "\(name)") }
        // The recorder's buffer is part of the plan.
        let planned = { (more: [String]) -> Int? in
            let run = try? Leafcutter.run(
                ["generate", model, "春", "--max-tokens", "1", "--seed", "1", "--memory", "1GiB", "--json", "-q"] + more)
            return (run?.json?["memory"] as? [String: Any])?["planned"] as? Int
        }
        let with = try #require(planned(["--trace", folder.path("other.json")]))
        #expect(with - (try #require(planned([]))) >= 24 << 18)
    }

    @Test func doctorAndPlanTellWhatToExpectOfEachBudget() throws {
        let model = try Models.shared.get().demo
        let doctor = try #require(try Leafcutter.run("doctor", model, "--json", "-q").json)
        for key in ["memory_pressure", "direct_io"] { #expect(doctor[key] is Bool, "\(key)") }
        for key in ["disk_bytes_per_second", "ram_bytes_per_second", "weight_bytes_per_second"] {
            #expect(try #require(doctor[key] as? Double) > 0, "\(key)")
        }
        #expect(doctor.keys.contains("huge_pages"))
        let expected = try #require(doctor["expected"] as? [[String: Any]])
        #expect(expected.first?["budget"] as? Int == doctor["minimum"] as? Int)
        #expect(expected.count > 1)
        let plan = try #require(
            try Leafcutter.run(
                "plan", model, "--memory", "48MiB", "--context", "64", "--disk-rate", "1GB", "--json", "-q"
            ).json)
        let predicted = try #require(plan["predicted"] as? [String: Any])
        #expect(["disk", "memory", "compute"].contains(predicted["bound"] as? String))
        let more = try #require(plan["with_more_memory"] as? [[String: Any]])
        #expect(more.allSatisfy { ($0["budget"] as? Int ?? 0) > 48 << 20 })
    }
}
