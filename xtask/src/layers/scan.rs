//! What the modules of one file declare, import and mention.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, ImplItemFn, Item, ItemMod, ItemUse, Macro, Meta, UseTree, VisRestricted, Visibility,
};

/// The path of a module in its crate; empty for the crate's root.
pub type ModulePath = Vec<String>;

/// The root of the binary crate, which has its own `crate::`.
pub const MAIN: &str = "main";

/// A module and what was seen in it.
#[derive(Debug)]
pub struct Module {
    /// Where it is in the crate.
    pub path: ModulePath,
    /// The module whose file this is in: itself, unless it is written inline.
    pub owner: ModulePath,
    /// Its file, relative to the folder of sources.
    pub file: String,
    /// Names of the things that it defines, modules apart.
    pub items: BTreeSet<String>,
    /// Its `use` declarations, one for each name.
    pub imports: Vec<Import>,
    /// Paths in its code, and macros as `name!`.
    pub mentions: Vec<Mention>,
}

/// One name that a `use` declaration brings in.
#[derive(Debug)]
pub struct Import {
    /// What is imported.
    pub what: Mention,
    /// Under which name; `None` for all that is in there.
    pub name: Option<String>,
    /// Whether it is handed on to others.
    pub is_reexport: bool,
}

/// A path as written.
#[derive(Debug)]
pub struct Mention {
    /// Its segments; the first is empty where the path begins with `::`.
    pub path: Vec<String>,
    /// Where.
    pub line: usize,
}

/// What one file holds.
#[derive(Debug)]
pub struct Scan {
    modules: Vec<Module>,
    /// Modules with files of their own that exist in tests only.
    test_modules: Vec<ModulePath>,
}

/// Puts the files together and drops what exists in tests only.
pub fn join(scans: Vec<Scan>) -> Vec<Module> {
    let tests: Vec<ModulePath> = scans.iter().flat_map(|scan| scan.test_modules.clone()).collect();
    let is_test = |module: &Module| tests.iter().any(|test| module.path.starts_with(test));
    let modules = scans.into_iter().flat_map(|scan| scan.modules);
    modules.filter(|module| !is_test(module)).collect()
}

/// Reads one file, given by its path relative to the folder of sources.
pub fn scan(file: &str, text: &str) -> Result<Scan> {
    let syntax = syn::parse_file(text).context("not valid Rust")?;
    let path = module_path(file);
    let mut scanner = Scanner {
        file: file.to_owned(),
        owner: path.clone(),
        open: vec![new_module(file, path.clone(), path)],
        done: Scan { modules: Vec::new(), test_modules: Vec::new() },
    };
    scanner.visit_file(&syntax);
    scanner.done.modules.append(&mut scanner.open);
    Ok(scanner.done)
}

/// The module that a file holds: `a::b` for `a/b.rs` and for `a/b/mod.rs`.
fn module_path(file: &str) -> ModulePath {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let mut path: ModulePath = stem.split('/').map(str::to_owned).collect();
    let is_root = path == ["lib"];
    if is_root || path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

fn new_module(file: &str, path: ModulePath, owner: ModulePath) -> Module {
    Module {
        path,
        owner,
        file: file.to_owned(),
        items: BTreeSet::new(),
        imports: Vec::new(),
        mentions: Vec::new(),
    }
}

struct Scanner {
    file: String,
    owner: ModulePath,
    /// The module we are in, last, and those around it.
    open: Vec<Module>,
    done: Scan,
}

impl Scanner {
    fn path_of(&self, child: &str) -> ModulePath {
        let mut path = self.open.last().map(|module| module.path.clone()).unwrap_or_default();
        path.push(child.to_owned());
        path
    }

    fn here(&mut self) -> Option<&mut Module> {
        self.open.last_mut()
    }

    fn mention(&mut self, path: Vec<String>, span: Span) {
        let line = span.start().line;
        if let Some(module) = self.here() {
            module.mentions.push(Mention { path, line });
        }
    }

    fn define(&mut self, item: &Item) {
        if let (Some(name), Some(module)) = (name_of(item), self.here()) {
            module.items.insert(name);
        }
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], is_reexport: bool) {
        let with = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&path.tree, &with(&path.ident), is_reexport),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix, is_reexport);
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                self.add_import(prefix.to_vec(), prefix.last().cloned(), is_reexport, &name.ident);
            }
            UseTree::Name(name) => {
                let as_name = Some(name.ident.to_string());
                self.add_import(with(&name.ident), as_name, is_reexport, &name.ident);
            }
            UseTree::Rename(name) => {
                let path = if name.ident == "self" { prefix.to_vec() } else { with(&name.ident) };
                self.add_import(path, Some(name.rename.to_string()), is_reexport, &name.ident);
            }
            UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                let what = Mention { path: prefix.to_vec(), line };
                self.push_import(Import { what, name: None, is_reexport });
            }
        }
    }

    fn add_import(
        &mut self,
        path: Vec<String>,
        name: Option<String>,
        is_reexport: bool,
        at: &syn::Ident,
    ) {
        let line = at.span().start().line;
        self.push_import(Import { what: Mention { path, line }, name, is_reexport });
    }

    fn push_import(&mut self, import: Import) {
        if let Some(module) = self.here() {
            module.imports.push(import);
        }
    }

    /// Finds paths in code that only a macro understands.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    let (path, end) = path_at(&tokens, at);
                    if path.len() > 1 {
                        self.mention(path, ident.span());
                    }
                    at = end;
                    continue;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Scanner {
    fn visit_item(&mut self, item: &'ast Item) {
        if attributes(item).iter().any(is_test_only) {
            if let Item::Mod(ItemMod { ident, content: None, .. }) = item {
                let path = self.path_of(&ident.to_string());
                self.done.test_modules.push(path);
            }
            return;
        }
        self.define(item);
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !function.attrs.iter().any(is_test_only) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let Some((_, items)) = &module.content else {
            return;
        };
        let path = self.path_of(&module.ident.to_string());
        self.open.push(new_module(&self.file, path, self.owner.clone()));
        for item in items {
            self.visit_item(item);
        }
        self.done.modules.extend(self.open.pop());
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_reexport = !matches!(item.vis, Visibility::Inherited);
        let prefix = if item.leading_colon.is_some() { vec![String::new()] } else { Vec::new() };
        self.import(&item.tree, &prefix, is_reexport);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.leading_colon.is_some() {
            segments.insert(0, String::new());
        }
        if let (Some(first), 2..) = (path.segments.first(), segments.len()) {
            self.mention(segments, first.ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if let Some(name) = call.path.segments.last() {
            self.mention(vec![format!("{}!", name.ident)], name.ident.span());
        }
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }

    /// `pub(in crate::a)` says who may look in; it is no import.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}

/// The path that begins with the name at `start`, and where it ends.
fn path_at(tokens: &[TokenTree], start: usize) -> (Vec<String>, usize) {
    let colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    let name = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
        _ => None,
    };
    let rooted = start >= 2 && colon(start - 1) && colon(start - 2);
    let mut path = if rooted { vec![String::new()] } else { Vec::new() };
    path.extend(name(start));
    let mut end = start + 1;
    while colon(end) && colon(end + 1) {
        let Some(segment) = name(end + 2) else { break };
        path.push(segment);
        end += 3;
    }
    (path, end)
}

fn is_test_only(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else {
        return false;
    };
    if !list.path.is_ident("cfg") {
        return false;
    }
    let condition = list.tokens.to_string().replace(' ', "");
    condition == "test" || condition.starts_with("all(test,")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
