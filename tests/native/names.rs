//! Names that the npm package shares with the engine: the files that hold them are written from the engine's tables,
//! and agree with them.
//!
//! `AFFECTLENS_WRITE_NAMES=1 cargo test -p affectlens --test native names` writes them anew.

use std::{env, fs, path::Path};

use affectlens::{
    controls::{CONTROLS, Control, ControlRange},
    device::{DeviceChoice, DeviceKind},
    label::{ActionUnit, Expression},
    people::{DEFAULT_MOST, MOST},
    person::{CONNECTIONS, KEYPOINTS},
    report::{ActionUnitSource, ExpressionSource, ValenceArousalSource},
    role::{Origin, Role},
    task::Task,
};

const HEADER: &str = "\
// Written from the engine's tables by tests/native/names.rs, which also checks that both agree: do not edit.
// AFFECTLENS_WRITE_NAMES=1 cargo test -p affectlens --test native names
";

fn quoted(names: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let names = names.into_iter();
    names.map(|name| format!("\"{}\"", name.as_ref())).collect()
}

fn array(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    format!("[{}]", quoted(names).join(", "))
}

fn devices() -> [&'static str; 3] {
    DeviceChoice::ALL.map(|choice| choice.name_with(DeviceKind::WebGpu))
}

fn names_js() -> String {
    let tasks = array(Task::ALL.map(Task::name));
    let face_tasks = array(Task::FACES.map(Task::name));
    let devices = array(devices());
    let role = |role: Role| {
        let tasks = role.tasks().iter().map(|task| task.name());
        format!("  {}: {},\n", role.name(), array(tasks))
    };
    let roles: String = Role::ALL.into_iter().map(role).collect();
    let sound = array(Role::SOUND.map(Role::name));
    let keypoints = array(KEYPOINTS);
    let connections = CONNECTIONS.map(|[from, to]| format!("[{from}, {to}]"));
    let connections = connections.join(", ");
    let control = |control: &Control| {
        let range = match control.range {
            ControlRange::Flag => "type: \"boolean\"".to_owned(),
            ControlRange::Whole { least, most } => {
                format!("type: \"whole number\", least: {least}, most: {most}")
            }
            ControlRange::Share => "type: \"number\", least: 0, most: 1".to_owned(),
        };
        format!(
            "  {{ part: \"{}\", name: \"{}\", flat: \"{}\", {range}, expected: \"{}\" }},\n",
            control.part,
            control.javascript_name(),
            control.flat_name(),
            control.range
        )
    };
    let controls: String = CONTROLS.iter().map(control).collect();
    format!(
        "\
// @ts-check
{HEADER}
export const TASKS = {tasks};

export const FACE_TASKS = {face_tasks};

export const DEVICES = {devices};

export const TASKS_OF_ROLE = {{
{roles}}};

export const SOUND_ROLES = {sound};

export const KEYPOINTS = {keypoints};

export const CONNECTIONS = [{connections}];

export const DEFAULT_PEOPLE = {DEFAULT_MOST};

export const MOST_PEOPLE = {MOST};

export const CONTROLS = [
{controls}];
"
    )
}

fn names_d_ts() -> String {
    let union = |doc: &str, name: &str, members: Vec<String>| {
        let members = members.join(" | ");
        format!("/** {doc} */\nexport type {name} = {members};\n\n")
    };
    let controls = |part: &str| {
        let names = CONTROLS.iter().filter(|control| control.part == part);
        quoted(names.map(Control::javascript_name))
    };
    let unions = [
        union(
            "What can be reported.",
            "Task",
            quoted(Task::ALL.map(Task::name)),
        ),
        union("Where to run.", "DeviceChoice", quoted(devices())),
        union(
            "Where a model runs.",
            "DeviceKind",
            quoted([DeviceKind::WebGpu, DeviceKind::Cpu].map(DeviceKind::name)),
        ),
        union(
            "A weights file by what it is for.",
            "WeightsRole",
            quoted(Role::ALL.map(Role::name)),
        ),
        union(
            "Facial expressions.",
            "ExpressionName",
            quoted(Expression::ALL.map(Expression::name)),
        ),
        union(
            "Names of the Facial Action Coding System.",
            "ActionUnitName",
            quoted(ActionUnit::ALL.map(ActionUnit::name)),
        ),
        union(
            "The classifier that decided on an expression.",
            "ExpressionSource",
            quoted(ExpressionSource::ALL.map(ExpressionSource::name)),
        ),
        union(
            "The part of the model that gives valence and arousal.",
            "ValenceArousalSource",
            quoted(ValenceArousalSource::ALL.map(ValenceArousalSource::name)),
        ),
        union(
            "The part of the model that gives action units.",
            "ActionUnitSource",
            quoted(ActionUnitSource::ALL.map(ActionUnitSource::name)),
        ),
        union(
            "The points of a body; left and right are the person's.",
            "KeypointName",
            quoted(KEYPOINTS),
        ),
        union(
            "Settings of the part `faces`.",
            "FaceSettingName",
            controls("faces"),
        ),
        union(
            "Settings of the part `violence`.",
            "ViolenceSettingName",
            controls("violence"),
        ),
        union(
            "All settings, in the flat spelling.",
            "FlatSettingName",
            quoted(CONTROLS.iter().map(Control::flat_name)),
        ),
    ];
    format!(
        "\
{HEADER}
{}/** A setting: its name in its part, its flat name, and the values that it takes. */
export type Control = {{
  readonly part: \"faces\" | \"violence\";
  readonly name: FaceSettingName | ViolenceSettingName;
  readonly flat: FlatSettingName;
  readonly expected: string;
}} & (
  | {{ readonly type: \"boolean\" }}
  | {{ readonly type: \"number\" | \"whole number\"; readonly least: number; readonly most: number }}
);

export declare const TASKS: readonly Task[];
/** The tasks that look for faces. */
export declare const FACE_TASKS: readonly Task[];
export declare const DEVICES: readonly DeviceChoice[];
/** The tasks that use each file: without one of them it is not read. None for the files for sound. */
export declare const TASKS_OF_ROLE: {{ readonly [role in WeightsRole]: readonly Task[] }};
/** Files that are read where sound is listened to. */
export declare const SOUND_ROLES: readonly WeightsRole[];
/** The points of a body in the order of `PersonReport.keypoints`. */
export declare const KEYPOINTS: readonly KeypointName[];
/** Pairs of places in `KEYPOINTS` between which a skeleton is drawn. */
export declare const CONNECTIONS: readonly (readonly [number, number])[];
/** People of a picture that are looked for unless `people` says otherwise, and the most that can be asked for. */
export declare const DEFAULT_PEOPLE: number;
export declare const MOST_PEOPLE: number;
export declare const CONTROLS: readonly Control[];
",
        unions.concat()
    )
}

/// The default files, for whoever packs them: where each comes from and what it is called.
fn roles_json() -> String {
    let row = |role: Role| {
        let (name, file) = (role.name(), role.file());
        let from = match role.origin() {
            Origin::BuiltIn => "models",
            _ => "cache",
        };
        format!("  \"{name}\": {{ \"file\": \"{file}\", \"from\": \"{from}\" }}")
    };
    let packed = Role::ALL.into_iter().filter(|role| role.is_packed());
    let rows: Vec<String> = packed.map(row).collect();
    format!("{{\n{}\n}}\n", rows.join(",\n"))
}

/// Compares a file with what it should hold; writes it first where that is asked for.
fn assert_holds(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("AFFECTLENS_WRITE_NAMES").is_some() {
        fs::write(&file, expected).expect("the file can be written");
    }
    let held = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        held, expected,
        "{path} is not what the tables say: run with AFFECTLENS_WRITE_NAMES=1"
    );
}

#[test]
fn names_of_the_package_are_those_of_the_engine() {
    assert_holds("pkg-config/affectlens/names.js", &names_js());
    assert_holds("pkg-config/affectlens/names.d.ts", &names_d_ts());
    assert_holds("pkg-config/affectlens-weights/roles.json", &roles_json());
}

#[test]
fn every_setting_is_typed_and_explained_in_both_spellings() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("pkg-config/affectlens");
    let read = |name: &str| fs::read_to_string(package.join(name)).expect("a file of the package");
    let (types, explained) = (read("index.d.ts"), read("README.md"));
    for control in CONTROLS {
        let (name, flat) = (control.javascript_name(), control.flat_name());
        for name in [&name, &flat] {
            assert!(
                types.contains(&format!("\n  {name}: ")),
                "{name} has no type"
            );
        }
        let row = format!("| `{}.{name}` | `{flat}` |", control.part);
        assert!(explained.contains(&row), "{row} is not in the README");
    }
}
