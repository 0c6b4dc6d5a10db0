import LeafArguments
import LeafFormat
import LeafSystem
import Testing

/// A command with one of everything.
private struct Sample: Equatable {
    struct Part: Equatable {
        var isLoud = false
    }

    enum Color: String, CaseIterable, ArgumentValue {
        case red, blue
    }

    var model = ""
    var text: String?
    var count = 1
    var limit: ByteCount?
    var color = Color.red
    var stops: [String] = []
    var weight: Float = 0
    var cores: Int?
    var share: Float = 0
    var alpha: Float?
    var window: Int?
    var part = Part()

    static let syntax = CommandSyntax<Sample>(
        name: "sample", summary: "Does nothing.", discussion: "It only shows how options are typed.",
        arguments: [.required("MODEL", "A file.", \.model, suggest: .file), .optional("TEXT", "A text.", \.text)],
        options: [
            .value("count", letter: "n", "N", "How many.", \.count),
            .value("memory", "SIZE", "How much.", \.limit),
            .value("color", "NAME", "Which.", \.color, suggest: .words(["red", "blue"])),
            .values("stop", "TEXT", "Until.", \.stops),
            .value("weight", "W", "How heavy.", \.weight),
            .number("cores", "N", .init(1...1024), "With what.", \.cores),
            .number("share", "P", .init(-0.5...1, "0 turns it off"), "How much of it.", \.share),
            .number("alpha", "A", .init(above: 0), "How strong.", \.alpha),
            .number("window", "N", .init(1...), "Of how many.", \.window),
            CommandOption<Part>.flag("loud", letter: "l", "Be loud.", \.isLoud).lifted(\.part),
        ],
        examples: ["sample m.leaf --count 3"])

    static func parsed(_ words: String...) throws(LeafError) -> Sample {
        var sample = Sample()
        try syntax.parse(words, into: &sample)
        return sample
    }

    static func refusal(_ words: String...) -> String {
        var sample = Sample()
        do throws(LeafError) {
            try syntax.parse(words, into: &sample)
            return "accepted"
        } catch {
            #expect(error.exitCode == 2)
            return error.description
        }
    }
}

/// A command with arguments that have letters, and with a long name.
private struct Wide {
    var model = ""
    var prompt: String?
    var maxTokens = 0
    var stops: [String] = []

    static let syntax = CommandSyntax<Wide>(
        name: "wide", summary: "Does nothing.",
        arguments: [.required("MODEL", "A file.", \.model, suggest: .model), .optional("PROMPT", "A text.", \.prompt)],
        options: [
            .value("max-tokens", "N", "How many.", \.maxTokens), .values("stop", "STRING", "Until.", \.stops),
        ])

    static func parsed(_ words: String...) throws(LeafError) -> Wide { try parsed(words) }

    static func parsed(_ words: [String]) throws(LeafError) -> Wide {
        var wide = Wide()
        try syntax.parse(words, into: &wide)
        return wide
    }

    static func refusal(_ words: String...) -> String {
        do throws(LeafError) {
            _ = try parsed(words)
            return "accepted"
        } catch {
            return error.description
        }
    }
}

@Suite struct CommandSyntaxTests {
    @Test func optionsStandAnywhereInBothForms() throws {
        let expected = Sample(
            model: "m", text: "hello", count: 3, limit: ByteCount(bytes: 2 << 30), part: .init(isLoud: true))
        #expect(try Sample.parsed("m", "hello", "--count", "3", "--memory=2GiB", "--loud") == expected)
        #expect(try Sample.parsed("--count=3", "m", "--loud", "--memory", "2GiB", "hello") == expected)
        #expect(try Sample.parsed("-l", "-n", "3", "m", "--memory=2GiB", "hello") == expected)
        #expect(try Sample.parsed("-ln3", "m", "--memory=2GiB", "hello") == expected)
    }

    @Test func namesMayHoldUnderscores() throws {
        #expect(try Wide.parsed("m", "--max_tokens", "3").maxTokens == 3)
        #expect(try Wide.parsed("m", "--max_tokens=3").maxTokens == 3)
        #expect(Wide.refusal("m", "--max_token", "3") == "there is no option --max_token; did you mean --max-tokens?")
    }

    @Test func argumentsWithALetterMayStandAnywhere() throws {
        for words in [
            ["-m", "a", "-p", "b"], ["-p", "b", "-m", "a"], ["b", "-m", "a"], ["-ma", "b"], ["-p", "b", "a"],
            ["a", "b"],
        ] {
            let wide = try Wide.parsed(words)
            #expect(wide.model == "a" && wide.prompt == "b", "\(words)")
        }
        #expect(try Wide.parsed("-m", "a", "-p", "-b").prompt == "-b")
        #expect(Wide.refusal("-m", "a", "-m", "b").hasPrefix("MODEL is given twice"))
        #expect(Wide.refusal("-p", "b").hasPrefix("MODEL is missing"))
        #expect(Wide.refusal("-m", "a", "b", "c").hasPrefix("'c' is one argument too many"))
        #expect(Wide.refusal("-m", "") == "MODEL is empty; the form is leafcutter wide MODEL [PROMPT] [OPTIONS]")
        #expect(Wide.refusal("a", "-p") == "-p needs a value: -p PROMPT")
        #expect(Wide.syntax.outline.help.contains("MODEL, -m MODEL"))
    }

    /// A letter that an option has is the option's.
    @Test func optionsKeepTheirLetters() throws {
        var other = Wide()
        let syntax = CommandSyntax<Wide>(
            name: "other", summary: "", arguments: Wide.syntax.arguments,
            options: [.value("most", letter: "m", "N", "", \.maxTokens)])
        try syntax.parse(["a", "-m", "7"], into: &other)
        #expect(other.model == "a" && other.maxTokens == 7)
        #expect(!syntax.outline.help.contains("-m MODEL"))
    }

    @Test func aBackslashAndAnNAreNoticedInTextsAlone() throws {
        func names(_ words: String...) throws -> [String] {
            var wide = Wide()
            return try Wide.syntax.parse(words, into: &wide)
        }
        #expect(try names("m", #"one\ntwo"#) == ["PROMPT"])
        #expect(try names("m", "-p", #"one\n"#) == ["PROMPT"])
        #expect(try names("m", "--stop", #"\n"#) == ["--stop"])
        #expect(try names("m", #"--stop=\n"#, #"a\n"#) == ["--stop", "PROMPT"])
        #expect(try names(#"C:\new.leaf"#, "one\ntwo", "--stop", "\n").isEmpty)
    }

    @Test func twoDashesEndTheOptionsAndOneIsAnArgument() throws {
        #expect(try Sample.parsed("m", "--", "--count").text == "--count")
        #expect(try Sample.parsed("m", "-").text == "-")
    }

    @Test func valuesMayBeEmptyOrNegativeOrHoldAnEqualsSign() throws {
        #expect(try Sample.parsed("m", "--stop=").stops == [""])
        #expect(try Sample.parsed("m", "--stop", "").stops == [""])
        #expect(try Sample.parsed("m", "--stop=--").stops == ["--"])
        #expect(try Sample.parsed("m", "--stop=a=b", "--stop", "c").stops == ["a=b", "c"])
        #expect(try Sample.parsed("m", "--count", "-5").count == -5)
        #expect(try Sample.parsed("m", "--count", "1", "--count", "2").count == 2)
    }

    @Test func unknownOptionsNameTheNearest() {
        #expect(Sample.refusal("m", "--memroy", "1") == "there is no option --memroy; did you mean --memory?")
        #expect(Sample.refusal("m", "--mem=1") == "there is no option --mem; did you mean --memory?")
        #expect(Sample.refusal("m", "--speculate") == "there is no option --speculate; see leafcutter sample --help")
        #expect(Sample.refusal("m", "-x") == "there is no option -x; a text that begins with a dash goes after --")
    }

    @Test func wrongValuesSayWhatIsWanted() {
        #expect(Sample.refusal("m", "--count", "many") == "--count many is not a whole number")
        #expect(Sample.refusal("m", "--count", "+-1") == "--count +-1 is not a whole number")
        #expect(Sample.refusal("m", "--color", "green") == "--color green is not one of red, blue")
        #expect(Sample.refusal("m", "--weight", "nan") == "--weight nan is not a number")
        #expect(Sample.refusal("m", "--weight", "1e99") == "--weight 1e99 is not a number")
        #expect(Sample.refusal("m", "--weight", "1e-99").hasPrefix("--weight 1e-99 is too near 0"))
        #expect(Sample.refusal("m", "--memory", "lots").hasPrefix("--memory lots is not a size such as 512MiB"))
        #expect(Sample.refusal("m", "--memory", "2.5").hasPrefix("--memory 2.5 is not a size such as 512MiB"))
        #expect(Sample.refusal("m", "--memory", "99999999999GiB").hasPrefix("--memory 99999999999GiB is too large; "))
        #expect(Sample.refusal("m", "--count", "") == "--count needs a value: --count N")
        #expect(Sample.refusal("m", "--color=") == "--color needs a value: --color NAME")
        #expect(Sample.refusal("m", "--count") == "--count needs a value: --count N")
        #expect(Sample.refusal("m", "--count", "--loud") == "--count needs a value: --count N")
        #expect(Sample.refusal("m", "--loud=yes") == "--loud takes no value")
    }

    @Test(arguments: [
        "-1", "0", "1025", "2.5", "1e3", "nan", "inf", "99999999999999999999", "-99999999999999999999", "0x10", "１２",
        "1,024",
    ])
    func everyRefusalOfANumberSaysWhichAreTaken(value: String) {
        #expect(Sample.refusal("m", "--cores", value) == "--cores \(value) is not a whole number from 1 to 1024")
    }

    @Test func rangesAreSaidAsPeopleWriteThem() throws {
        #expect(Sample.refusal("m", "--share", "2") == "--share 2 is not a number from -0.5 to 1; 0 turns it off")
        #expect(Sample.refusal("m", "--share", "nan") == "--share nan is not a number from -0.5 to 1; 0 turns it off")
        #expect(Sample.refusal("m", "--alpha", "0") == "--alpha 0 is not a number above 0")
        #expect(Sample.refusal("m", "--window", "0") == "--window 0 is not a whole number of at least 1")
        // What is typed around a number is seen.
        #expect(Sample.refusal("m", "--cores", " 5") == "--cores ' 5' is not a whole number from 1 to 1024")
        let sample = try Sample.parsed("m", "--cores=1024", "--share=-0.5", "--alpha", "1e-3", "--window", "7")
        #expect(sample.cores == 1024 && sample.share == -0.5 && sample.alpha == 1e-3 && sample.window == 7)
    }

    /// Whoever reads the value knows its limits, and names them.
    @Test func wholeNumbersBeyondTheTypeAreItsLargest() throws {
        #expect(try Sample.parsed("m", "--count", "99999999999999999999").count == .max)
        #expect(try Sample.parsed("m", "--count", "+99999999999999999999").count == .max)
        #expect(try Sample.parsed("m", "--count=-99999999999999999999").count == .min)
    }

    @Test func argumentsAreCounted() {
        #expect(
            Sample.refusal("--loud") == "MODEL is missing; the form is leafcutter sample MODEL [TEXT] [OPTIONS]")
        #expect(Sample.refusal("m", "a", "b").hasPrefix("'b' is one argument too many"))
    }

    @Test func helpShowsEverything() {
        let help = Sample.syntax.outline.help
        for part in [
            "Usage: leafcutter sample MODEL [TEXT] [OPTIONS]", "It only shows", "-n, --count N", "--memory SIZE",
            "-h, --help", "  leafcutter sample m.leaf --count 3",
        ] {
            #expect(help.contains(part), "\(part)")
        }
        #expect(help.split(separator: "\n").allSatisfy { $0.count <= 90 })
        #expect(CommandSyntax<Sample>.wantsHelp(["m", "-h"]))
        #expect(!CommandSyntax<Sample>.wantsHelp(["m", "--", "--help"]))
    }

    @Test func nearestNamesAreNearOrBeginTheSame() {
        let names = ["convert", "export", "inspect", "generate"]
        #expect(NearestName.of("exprot", among: names) == "export")
        #expect(NearestName.of("gen", among: names) == "generate")
        #expect(NearestName.of("serve", among: names) == nil)
        #expect(NearestName.of("", among: names) == nil)
        #expect(NearestName.of("x", among: ["q"]) == nil)
    }
}
