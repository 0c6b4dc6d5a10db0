import LeafFormat
import LeafSystem

/// Fields by which clients demand more than an answer: calls of tools, a format, sound, a search, shorter vectors.
///
/// One rule holds for all of them, whatever the route. Where a field demands what CPM-Ant cannot give, the request is
/// refused: its client would get something else than it asked for. Where it leaves the choice to the model, it is
/// passed.
enum OpenAIDemands {
    static let names: Set = [
        "tools", "functions", "tool_choice", "function_call", "response_format", "modalities", "web_search_options",
        "dimensions",
    ]

    /// Reads such a field, all of it.
    ///
    /// - Returns: whether its client gets what it says; false for one that is passed.
    /// - Throws: `.usage` for a demand, and for a value that makes no sense.
    static func areMet(_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Bool {
        switch name {
        case "tools", "functions":
            try reader.list { reader throws(LeafError) in
                throw reader.wrong("holds some, and CPM-Ant calls none; leave it out")
            }
        case "tool_choice", "function_call":
            try checkChoice(&reader)
            return false
        case "response_format":
            try reader.fields { name, reader throws(LeafError) in
                guard name == "type" else { return try reader.skip() }
                guard try reader.text() == "text" else { throw reader.wrong("is not text, the one format there is") }
            }
        case "modalities":
            for modality in try reader.texts() where modality != "text" {
                throw reader.wrong("holds '\(modality.prefix(40))', and CPM-Ant writes text alone; leave it out")
            }
        case "dimensions": throw reader.wrong("cannot be chosen; leave it out")
        default: throw reader.wrong("asks for a search, and CPM-Ant makes none; leave it out")
        }
        return true
    }

    /// No tool may be called; the model may choose, and never does.
    private static func checkChoice(_ reader: inout JSONReader) throws(LeafError) {
        guard try reader.kind(among: [.text, .object]) == .text else {
            throw reader.wrong("names one to be called, and CPM-Ant calls none; leave it out")
        }
        let choice = try reader.text()
        guard choice == "none" || choice == "auto" else {
            throw reader.wrong("is '\(choice.prefix(40))', not none or auto, and CPM-Ant calls no tool; leave it out")
        }
    }
}
