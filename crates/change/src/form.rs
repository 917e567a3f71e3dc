//! How the values of a column travel in whole images, and which columns cannot travel there.

/// What a cell of a column becomes outside: see `proto::debezium` for the spelling of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Form {
    Integer,
    /// Four bytes: it is printed with as many digits as tell it from its neighbours among those.
    Float,
    Double,
    /// Its digits as text.
    Decimal,
    Text,
    Bytes,
    /// BIT(1).
    Bool,
    /// BIT of more than one bit.
    Bits,
    Date,
    Time,
    DateTime,
    Year,
}

/// Why the values of a column cannot be delivered exactly, and what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit {
    pub why: &'static str,
    pub mend: &'static str,
}

impl Form {
    /// The form of a column with these `information_schema` types (`bigint`, `bigint(20) unsigned`) and character set.
    pub fn of(data_type: &str, column_type: &str, charset: Option<&str>) -> Result<Form, Unfit> {
        let labels = matches!(data_type, "enum" | "set");
        // The server says in a comment what is stored in another way. Labels may look like one.
        if !labels && column_type.contains("COMPRESSED") {
            return Err(Unfit {
                why: "a compressed column is in the binlog as it is stored",
                mend: "MODIFY it without COMPRESSED",
            });
        }
        if !labels && column_type.contains("mariadb-5.3") {
            return Err(Unfit {
                why: "the old format of times does not tell its own length",
                mend: "set mysql56_temporal_format=ON and rebuild the table with ALTER TABLE ... FORCE",
            });
        }
        let decoded = matches!(charset, Some("ascii" | "latin1" | "utf8" | "utf8mb3" | "utf8mb4"));
        let text = |form| {
            decoded.then_some(form).ok_or(Unfit {
                why: "its character set is not decoded",
                mend: "ascii, latin1, utf8mb3, utf8mb4 and binary are: CONVERT it to one of them",
            })
        };
        Ok(match data_type {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Form::Integer,
            "float" => Form::Float,
            "double" => Form::Double,
            "decimal" => Form::Decimal,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
                text(Form::Text)?
            }
            "uuid" => Form::Text,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Form::Bytes,
            "bit" if column_type == "bit(1)" => Form::Bool,
            "bit" => Form::Bits,
            "date" => Form::Date,
            "time" => Form::Time,
            "datetime" | "timestamp" => Form::DateTime,
            "year" => Form::Year,
            "json" => {
                return Err(Unfit {
                    why: "MySQL's JSON is in the binlog in a form of its own",
                    mend: "keep it as LONGTEXT",
                });
            }
            "inet4" | "inet6" => {
                return Err(Unfit {
                    why: "an address is in the binlog as bytes whose text only the server knows",
                    mend: "keep it as VARBINARY(16) or VARCHAR(45)",
                });
            }
            _ => {
                return Err(Unfit {
                    why: "the binlog has no exact text for values of this type",
                    mend: "keep it in a table that the plan does not read",
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_cannot_be_told_exactly_is_refused() {
        let why = |d, c, charset| Form::of(d, c, charset).map_err(|u| u.why.split(' ').next());
        assert_eq!(why("varchar", "varchar(9)", Some("latin1")), Ok(Form::Text));
        assert_eq!(why("varchar", "varchar(9)", Some("sjis")), Err(Some("its")));
        assert_eq!(why("enum", "enum('a')", Some("ucs2")), Err(Some("its")));
        assert_eq!(why("enum", "enum('COMPRESSED')", Some("utf8mb4")), Ok(Form::Text));
        assert_eq!(why("text", "text /*M!100301 COMPRESSED*/", Some("utf8mb4")), Err(Some("a")));
        assert_eq!(why("datetime", "datetime(3) /* mariadb-5.3 */", None), Err(Some("the")));
        assert_eq!(why("bit", "bit(1)", None), Ok(Form::Bool));
        assert_eq!(why("bit", "bit(12)", None), Ok(Form::Bits));
        for unknown in ["point", "geometry", "vector", "inet6", "inet4", "json", "xmltype"] {
            assert!(Form::of(unknown, unknown, None).is_err(), "{unknown}");
        }
    }
}
